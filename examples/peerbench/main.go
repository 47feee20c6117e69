// Command peerbench measures dlm beside other lock libraries for Redis, and
// beside what one writes by hand, on redis-server processes that it starts
// itself, and prints what it finds as ratios in markdown tables.
//
//	go run . [-rows distinct,hot] [-rounds 5] [-quick] [-scaling] [-svg locks.svg]
package main

import (
	"bytes"
	"context"
	"errors"

	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// rowSet is what -rows selects.
type rowSet struct {
	name  string
	locks bool // what the front page and the picture show
	first bool // is measured first, in a process in which nobody has left anything
	run   func(context.Context, bench) ([]section, error)
}

var rowSets = []rowSet{
	{name: "distinct", locks: true, run: distinctKeys},
	{name: "hot", locks: true, run: hotKey},
	{name: "fault", locks: true, run: faultyNode},
	{name: "renewed", locks: true, run: renewedLocks},
	{name: "cached", first: true, run: cachedHits},
	{name: "cold", run: coldStart},
}

func main() {
	if childMain() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peerbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("peerbench", flag.ContinueOnError)
	rows := flags.String("rows", "", "the rows to measure, by comma: "+names(rowSets)+" (default all)")
	rounds := flags.Int("rounds", 5, "how often each library has its turn")
	quick := flags.Bool("quick", false, "short slices, two rounds: to see that it works, not to quote")
	scaling := flags.Bool("scaling", false, "instead: throughput and commands against processes, nodes and round-trip time")
	svg := flags.String("svg", "", "where to draw the picture; empty for none")
	into := flags.String("into", "", "markdown files, by comma, to put tables into between their marks: <!-- rows --> all … <!-- /rows -->, <!-- locks --> a short one; with -scaling <!-- scaling -->")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sets, err := selected(*rows)
	if err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", *rounds)
	}
	b := fullBench(*rounds)
	if *quick {
		b = quickBench(*rounds)
	}
	if *scaling {
		sets = []rowSet{{name: "scaling", run: scalingTable}}
	}
	var tables bytes.Buffer
	found, err := report(ctx, io.MultiWriter(out, &tables), b, sets)
	if err != nil {
		return err
	}
	if *svg != "" && !*scaling {
		err = drawTo(*svg, found)
	}
	if *into != "" {
		err = errors.Join(err, fill(strings.Split(*into, ","), texts(*scaling, tables.String(), found)))
	}
	return err
}

// texts are what may stand between the marks of a document.
func texts(scaling bool, tables string, found []section) map[string]string {
	if scaling {
		return map[string]string{"scaling": tables}
	}
	var short bytes.Buffer
	compact(&short, slices.DeleteFunc(slices.Clone(found), func(s section) bool { return !s.locks }))
	return map[string]string{"rows": tables, "locks": short.String()}
}

func drawTo(path string, sections []section) error {
	var b bytes.Buffer
	if err := picture(&b, sections); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644) //nolint:gosec // a picture for everybody
}

// report measures, printing each table as soon as it and those before it are there, and
// the goals last.
func report(ctx context.Context, out io.Writer, b bench, sets []rowSet) (all []section, err error) {
	early := map[string][]section{}
	for _, set := range sets {
		if set.first {
			if early[set.name], err = set.measure(ctx, b); err != nil {
				return early[set.name], err
			}
		}
	}
	for _, set := range sets {
		found, there := early[set.name]
		if !there {
			found, err = set.measure(ctx, b)
		}
		for i := range found {
			found[i].markdown(out)
		}
		if all = append(all, found...); err != nil {
			return all, err
		}
	}
	if slices.ContainsFunc(all, func(s section) bool { return len(s.goals) > 0 }) {
		verdict(out, all)
	}
	return all, nil
}

func (r rowSet) measure(ctx context.Context, b bench) ([]section, error) {
	found, err := r.run(ctx, b)
	for i := range found {
		found[i].locks = r.locks
	}
	if err != nil {
		return found, fmt.Errorf("%s: %w", r.name, err)
	}
	return found, nil
}

func names(sets []rowSet) string {
	var all []string
	for _, s := range sets {
		all = append(all, s.name)
	}
	return strings.Join(all, ",")
}

func selected(rows string) ([]rowSet, error) {
	if rows == "" {
		return rowSets, nil
	}
	var some []rowSet
next:
	for _, name := range strings.Split(rows, ",") {
		for _, s := range rowSets {
			if s.name == strings.TrimSpace(name) {
				some = append(some, s)
				continue next
			}
		}
		return nil, fmt.Errorf("-rows: no row %q: there are %s", name, names(rowSets))
	}
	return some, nil
}
