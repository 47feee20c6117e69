package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fleet is the server processes, the witness of what they do, and a client.
type fleet struct {
	witness *witness
	client  *http.Client
	program string
	nodes   []string

	mu        sync.Mutex
	processes []*process // one for each framework, in order. Replaced with mu held
	started   int        // guarded by mu
}

// startFleet starts a server process for each framework.
func startFleet(ctx context.Context, nodes []string) (_ *fleet, err error) {
	f := &fleet{nodes: nodes, client: &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.witness, err = startWitness(); err != nil {
		return nil, err
	}
	if f.program, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, framework := range frameworks {
		p, err := f.launch(framework)
		if err != nil {
			return nil, err
		}
		f.processes = append(f.processes, p)
	}
	for _, p := range f.processes {
		if err := p.awaitURL(ctx); err != nil {
			return nil, err
		}
	}
	return f, f.awaitVotes(ctx, f.majority())
}

func (f *fleet) majority() int { return len(f.nodes)/2 + 1 }

// launch starts a server that nobody knows yet.
func (f *fleet) launch(framework string) (*process, error) {
	f.mu.Lock()
	f.started++
	id := fmt.Sprintf("%s#%d", framework, f.started)
	f.mu.Unlock()
	return startProcess(f.program, order{Framework: framework, ID: id, Nodes: f.nodes, Witness: f.witness.url})
}

// all lists the processes, dead ones too.
func (f *fleet) all() []*process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.processes)
}

// kill ends the i-th process in the midst of what it does.
func (f *fleet) kill(i int) {
	p := f.all()[i]
	p.kill()
	f.witness.bury(p.id)
}

// revive starts the i-th process anew if it is dead.
func (f *fleet) revive(ctx context.Context, i int) error {
	old := f.all()[i]
	if old.alive() {
		return nil
	}
	p, err := f.launch(old.framework)
	if err != nil {
		return err
	}
	if err := p.awaitURL(ctx); err != nil {
		p.hangUp()
		return errors.Join(err, p.wait())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.processes[i] = p
	return nil
}

func (f *fleet) String() string { return strings.Join(frameworks, ", ") }

// Close ends the processes and waits for them.
func (f *fleet) Close() error {
	var errs []error
	for _, p := range f.all() {
		p.hangUp()
	}
	for _, p := range f.all() {
		errs = append(errs, p.wait())
	}
	f.client.CloseIdleConnections()
	if f.witness != nil {
		errs = append(errs, f.witness.Close())
	}
	return errors.Join(errs...)
}

// logs is what the processes wrote.
func (f *fleet) logs() string {
	var b strings.Builder
	for _, p := range f.all() {
		if text := p.log.String(); text != "" {
			fmt.Fprintf(&b, "--- %s\n%s", p.framework, text)
		}
	}
	return b.String()
}

// waits adds up the requests that have queued for a lock so far.
func (f *fleet) waits(ctx context.Context) (sum int, err error) {
	for _, p := range f.all() {
		body, _, err := f.do(ctx, http.MethodGet, p.url+waitsPath)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(body)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// do sends one request, with header fields and their values in turn, and reads
// its answer.
func (f *fleet) do(ctx context.Context, method, url string, fields ...string) (body string, resp *http.Response, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", nil, err
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	if resp, err = f.client.Do(req); err != nil {
		return "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp, err
}

// farewell is how long a process may take to end by itself.
const farewell = 5 * time.Second
