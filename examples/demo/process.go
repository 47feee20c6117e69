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
	"time"
)

// process is one server process: this program once more, in another role.
type process struct {
	framework string
	url       string
	cmd       *exec.Cmd
	orders    io.WriteCloser // its end ends the process
	said      chan string    // the line with its URL, or closed without one
	log       tail
}

// startProcess starts a server that ends with this program, whatever ends that:
// its standard input then ends.
func startProcess(program string, o order) (*process, error) {
	p := &process{framework: o.Framework, cmd: exec.Command(program), said: make(chan string, 1)}
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
	go func() {
		defer close(p.said)
		if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			p.said <- strings.TrimSpace(line)
		}
	}()
	if err := json.NewEncoder(p.orders).Encode(o); err != nil {
		p.hangUp()
		return nil, errors.Join(err, p.wait())
	}
	return p, nil
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

// wait returns when the process has ended, by itself or killed.
func (p *process) wait() error {
	killer := time.AfterFunc(farewell, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	<-p.said // Wait must not close the pipe before it was read
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the %s server: %w: %s", p.framework, err, &p.log)
	}
	return nil
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

const maxTail = 8 << 10

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
