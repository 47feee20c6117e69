package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// fleet is the server processes, the witness of what they do, and a client.
type fleet struct {
	witness   *witness
	processes []*process
	client    *http.Client
}

// startFleet starts a server process for each framework.
func startFleet(ctx context.Context, nodes []string) (_ *fleet, err error) {
	f := &fleet{client: &http.Client{
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
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, framework := range frameworks {
		p, err := startProcess(program, order{framework, nodes, f.witness.url})
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
	return f, nil
}

func (f *fleet) String() string { return strings.Join(frameworks, ", ") }

// Close ends the processes and waits for them.
func (f *fleet) Close() error {
	var errs []error
	for _, p := range f.processes {
		p.hangUp()
	}
	for _, p := range f.processes {
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
	for _, p := range f.processes {
		if text := p.log.String(); text != "" {
			fmt.Fprintf(&b, "--- %s\n%s", p.framework, text)
		}
	}
	return b.String()
}

// waits adds up the requests that have queued for a lock so far.
func (f *fleet) waits(ctx context.Context) (sum int, err error) {
	for _, p := range f.processes {
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

// do sends one request and reads its answer.
func (f *fleet) do(ctx context.Context, method, url string) (body string, resp *http.Response, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", nil, err
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
