package coretest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// A process is a running child. One goroutine starts it, waits for it and ends
// with it.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the child is gone
}

// spawn starts cmd. The kernel ties the child's life to the thread that forked
// it, not to the whole program, so the goroutine keeps its thread until
// the child is gone.
func spawn(cmd *exec.Cmd) (*process, error) {
	tieToParent(cmd)
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is for its log to tell
			close(p.exited)
		}
	}()
	return p, <-started
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// signal is nil for a child that is already gone.
func (p *process) signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// kill returns when the child is gone, its ports and sockets with it.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}
