package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// process is one server process: this program once more, in another role.
type process struct {
	framework string
	id        string // unlike that of any other, of the same framework too
	url       string
	cmd       *exec.Cmd
	orders    io.WriteCloser // its end ends the process
	said      chan string    // the line with its URL, or closed without one
	ended     chan struct{}  // closed when the process is gone
	err       error          // how it ended; set before ended closes
	killed    atomic.Bool    // by us
	log       tail
}

// startProcess starts a server that ends with this program, whatever ends that:
// its standard input then ends.
func startProcess(program string, o order) (*process, error) {
	p := &process{
		framework: o.Framework, id: o.ID, cmd: exec.Command(program),
		said: make(chan string, 1), ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), roleVariable+"=1")
	p.cmd.Stderr = &p.log
	var err error
	if p.orders, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.attend(out)
	if err := json.NewEncoder(p.orders).Encode(o); err != nil {
		p.hangUp()
		return nil, errors.Join(err, p.wait())
	}
	return p, nil
}

// attend ends with the process.
func (p *process) attend(out io.Reader) {
	if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
		p.said <- strings.TrimSpace(line)
	}
	close(p.said)
	p.err = p.cmd.Wait() // closes the pipe, so not before it was read
	close(p.ended)
}

// awaitURL returns when the server listens.
func (p *process) awaitURL(ctx context.Context) error {
	select {
	case url, ok := <-p.said:
		if !ok {
			return fmt.Errorf("the %s server ended at once: %s", p.framework, &p.log)
		}
		p.url = url
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the %s server does not start: %w", p.framework, context.Cause(ctx))
	}
}

func (p *process) hangUp() { _ = p.orders.Close() }

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// wait returns when the process has ended, by itself or killed.
func (p *process) wait() error {
	killer := time.AfterFunc(farewell, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	<-p.ended
	if p.err != nil && !p.killed.Load() {
		return fmt.Errorf("the %s server: %w: %s", p.framework, p.err, &p.log)
	}
	return nil
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

const maxTail = 32 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
