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
)

// jobVariable tells a process of this program that it is a child, and what to do.
const jobVariable = "PEERBENCH_JOB"

// job is what a child does. Exactly one field is set.
type job struct {
	Hot  *hotJob  `json:",omitempty"`
	Cold *coldJob `json:",omitempty"`
}

// work is a job made ready: it runs once, when all children are.
type work func() (any, error)

// childMain does the job given by the environment, if there is one. A child says
// when it is ready, begins at the parent's word and writes its result.
func childMain() (isChild bool) {
	text, ok := os.LookupEnv(jobVariable)
	if !ok {
		return false
	}
	if err := child(text, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peerbench: child:", err)
		os.Exit(1)
	}
	return true
}

func child(text string, in io.Reader, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	run, err := j.prepare()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("the parent is gone: %w", err)
	}
	result, err := run()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

func (j job) prepare() (work, error) {
	switch {
	case j.Hot != nil:
		return j.Hot.prepare()
	case j.Cold != nil:
		return j.Cold.prepare()
	}
	return nil, errors.New("an empty job")
}

// kid is a child as its parent sees it.
type kid struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func spawn(ctx context.Context, j job) (*kid, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &kid{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

func (k *kid) awaitReady() error {
	if said, err := k.out.ReadString('\n'); err != nil {
		return fmt.Errorf("child said %q instead of ready: %w", said, err)
	}
	return nil
}

func (k *kid) begin() error {
	_, err := io.WriteString(k.in, "go\n")
	return err
}

func (k *kid) result(into any) error { return json.NewDecoder(k.out).Decode(into) }

// end does not wait for a child to tidy up: some libraries take their time.
func (k *kid) end() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// family runs jobs in a process each, all at once, and returns their results.
// between is called when all are ready and after all are done.
func family[R any](ctx context.Context, jobs []job, between func() error) (results []R, err error) {
	kids := make([]*kid, 0, len(jobs))
	defer func() {
		for _, k := range kids {
			k.end()
		}
	}()
	for _, j := range jobs {
		k, err := spawn(ctx, j)
		if err != nil {
			return nil, err
		}
		kids = append(kids, k)
	}
	steps := []func(*kid) error{(*kid).awaitReady, (*kid).begin, func(k *kid) error {
		var r R
		err := k.result(&r)
		results = append(results, r)
		return err
	}}
	for i, step := range steps {
		if i == 1 {
			err = between()
		}
		for _, k := range kids {
			if err == nil {
				err = step(k)
			}
		}
	}
	return results, errors.Join(err, between())
}
