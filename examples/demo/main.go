// Command demo shows what dlm is for. Several server processes, one for each
// framework, share some Redis nodes and are sent bursts of requests, without
// dlm and with it; one of the nodes dies under load. A witness outside of the
// servers sees every run of a handler, so that what is shown is what happened.
//
//	go run ./examples/demo
//	REDIS_NODES=redis://a:6379,redis://b:6379,redis://c:6379 go run ./examples/demo
//	go run ./examples/demo -browser
//
// Without REDIS_NODES the nodes are embedded; with -real they are redis-server
// processes. The exit status is 0 if every promise was kept, 1 if one was broken
// or the demo could not be run.
//
// It also shows itself in a browser, at the address it says. With -browser it
// goes on after the bursts, until it is interrupted: the fleet is under load while
// the page is open, and its buttons kill, freeze and restart nodes and servers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit is how long the bursts may take, and all that is waited for.
const limit = 28 * time.Second

// options are those of the command line.
type options struct {
	browser bool // goes on after the bursts
	real    bool // redis-server processes instead of embedded nodes
}

func main() {
	if os.Getenv(roleVariable) != "" {
		exit(serve(os.Stdin, os.Stdout))
	}
	var o options
	flag.BoolVar(&o.browser, "browser", false, "go on in the browser until interrupted")
	flag.BoolVar(&o.real, "real", false, "run redis-server processes instead of embedded nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(demo(ctx, newScreen(os.Stdout), o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// demo plays every act, shows what came of it, and goes on in the browser if it
// is to.
func demo(ctx context.Context, screen *screen, o options) (err error) {
	nodes, err := openNodes(ctx, o.real)
	if err != nil {
		return err
	}
	defer closing(&err, nodes)
	fleet, err := startFleet(ctx, nodes.urls)
	if err != nil {
		return err
	}
	defer closing(&err, fleet)
	view, err := openView(fleet, nodes, o.browser)
	if err != nil {
		return err
	}
	defer closing(&err, view)
	screen.say("%s; one server process each of %s", nodes, fleet)
	screen.say("in a browser: %s", view.url)

	if err := perform(ctx, fleet, nodes, view, screen); err != nil {
		return err
	}
	if !o.browser {
		return nil
	}
	if err := nodes.heal(); err != nil {
		return err
	}
	screen.say("The fleet goes on at %s until you press Ctrl-C.", view.url)
	return view.stay(ctx)
}

// perform plays the acts.
func perform(ctx context.Context, fleet *fleet, nodes *nodes, view *view, screen *screen) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v: this machine is too busy", limit))
	defer cancel()
	var outcomes []outcome
	var broken []error
	for number, act := range acts {
		bar := screen.bar(act)
		o, err := fleet.play(ctx, number, act, nodes.kill, func(n int) {
			bar.show(n)
			view.played(number, float64(n)/float64(act.requests), nil)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
		bar.done(o)
		view.played(number, 1, &o)
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
