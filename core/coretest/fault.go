package coretest

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// PID is the process id of the server that was started last.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc.cmd.Process.Pid
}

// Alive is false once the server was killed or ended by itself. A frozen
// server is alive.
func (n *Node) Alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc.alive()
}

// Kill ends the server as kill -9 does, frozen or not. When it returns the port
// refuses connections. Killing a dead server does nothing.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.check("kill", n.proc.kill())
}

// Shutdown ends the server in good order (SIGTERM).
func (n *Node) Shutdown() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.check("shut down", n.terminate())
}

func (n *Node) terminate() error {
	if err := errors.Join(n.proc.signal(syscall.SIGTERM), n.proc.thaw()); err != nil {
		return err
	}
	select {
	case <-n.proc.exited:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("still there after %v", patience)
	}
}

// Freeze stops the process (SIGSTOP): the system still accepts connections and
// bytes for it, nothing is answered. When it returns the server has stopped.
func (n *Node) Freeze() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.proc.alive() {
		return n.check("freeze", errors.New("the server is down"))
	}
	return n.check("freeze", n.proc.freeze())
}

// Thaw lets a frozen server go on (SIGCONT): it executes what has come in the
// meantime. Thawing one that runs, or is down, does nothing.
func (n *Node) Thaw() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.check("thaw", n.proc.thaw())
}

// Restart kills the server if it still runs and starts it again on the same
// port: empty, unless [WithPersistence], and without what [Node.Config],
// [Node.ACL] and [Node.ReplicaOf] had set. It returns when the server answers.
func (n *Node) Restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return n.check("restart", errors.New("the nodes are closed"))
	}
	if err := n.proc.kill(); err != nil {
		return n.check("restart", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	return n.check("restart", n.launch(ctx))
}
