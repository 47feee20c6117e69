//go:build !unix

package coretest

import (
	"errors"
	"fmt"
	"os/exec"
)

func tieToParent(*exec.Cmd) {}

func (p *process) freeze() error {
	return fmt.Errorf("this system cannot stop a process: %w", errors.ErrUnsupported)
}

func (p *process) thaw() error { return nil }
