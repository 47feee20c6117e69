// Command demo shows what dlm is for. Several server processes, one for each
// framework, share some Redis nodes and are sent bursts of requests, without
// dlm and with it; one of the nodes dies under load. A witness outside of the
// servers sees every run of a handler, so that what is shown is what happened.
//
//	go run ./examples/demo
//	REDIS_NODES=redis://a:6379,redis://b:6379,redis://c:6379 go run ./examples/demo
//
// Without REDIS_NODES the nodes are embedded. The exit status is 0 if every
// promise was kept, 1 if one was broken or the demo could not be run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit is how long the whole demo may take.
const limit = 28 * time.Second

func main() {
	if os.Getenv(roleVariable) != "" {
		exit(serve(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v: this machine is too busy", limit))
	defer cancel()
	exit(demo(ctx, newScreen(os.Stdout)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// demo plays every act and shows what came of it.
func demo(ctx context.Context, screen *screen) (err error) {
	nodes, err := openNodes()
	if err != nil {
		return err
	}
	defer closing(&err, nodes)
	fleet, err := startFleet(ctx, nodes.urls)
	if err != nil {
		return err
	}
	defer closing(&err, fleet)
	screen.say("%s; one server process each of %s", nodes, fleet)

	var outcomes []outcome
	var broken []error
	for number, act := range acts {
		o, err := fleet.play(ctx, number, act, nodes.kill, screen)
		if err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
		outcomes = append(outcomes, o)
		broken = append(broken, o.broken()...)
	}
	screen.table(outcomes)
	if err := errors.Join(broken...); err != nil {
		return fmt.Errorf("broken promises:\n%w\n%s", err, fleet.logs())
	}
	screen.say("Every promise was kept.")
	return nil
}

func closing(err *error, c io.Closer) { *err = errors.Join(*err, c.Close()) }
