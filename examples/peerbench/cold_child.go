package main

import "errors"

type coldJob struct{}

func (*coldJob) prepare() (work, error) { return nil, errors.New("not yet") }
