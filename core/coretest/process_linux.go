package coretest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// tieToParent has the child killed when its parent dies, and keeps a Ctrl-C on
// the terminal for the parent, which decides when the servers go.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// freeze returns when the child has stopped: the signal alone only asks for it.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		state, err := processState(p.cmd.Process.Pid)
		if err != nil || state == 'T' {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
	return fmt.Errorf("not stopped after %v", patience)
}

func (p *process) thaw() error { return p.signal(syscall.SIGCONT) }

// processState is the third field of /proc/PID/stat, behind the name in
// parentheses, which may itself hold any character.
func processState(pid int) (byte, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	if !found || len(rest) == 0 {
		return 0, fmt.Errorf("unreadable process state %q", stat)
	}
	return rest[0], nil
}
