//go:build unix && !linux

package coretest

import (
	"os/exec"
	"syscall"
)

func tieToParent(*exec.Cmd) {}

func (p *process) freeze() error { return p.signal(syscall.SIGSTOP) }

func (p *process) thaw() error { return p.signal(syscall.SIGCONT) }
