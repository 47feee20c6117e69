package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

const (
	coldProcesses = 4
	coldRequests  = 1000
	coldHandler   = 100 * time.Millisecond
)

// coldSeries are the rounds of one library.
type coldSeries struct {
	name                          string
	runs, commands, late, slowest []float64
}

// coldStart has many requests meet a key that nobody has cached.
func coldStart(ctx context.Context, b bench) (found []section, err error) {
	nodes, err := coretest.Start(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	all := []*coldSeries{{name: "dlm ginlock"}, {name: "dlm core/cache"}, {name: "gin-cache"}, {name: "go-redis/cache"}, {name: "sturdyc"}, {name: "rueidisaside"}, {name: "bare handler"}}
	err = interleave(min(b.rounds, 3), len(all), func(i int) error { return all[i].burst(ctx, nodes) })
	if err != nil {
		return nil, err
	}
	return []section{coldSection(all)}, nil
}

func (s *coldSeries) burst(ctx context.Context, nodes *coretest.Nodes) error {
	var jobs []job
	key := fmt.Sprintf("cold-%d", nextKey.Add(1))
	for range coldProcesses {
		jobs = append(jobs, job{Cold: &coldJob{
			Contender: s.name, URL: nodes.Node(0).URL(), Key: key,
			Requests: coldRequests / coldProcesses, Handler: coldHandler,
		}})
	}
	var (
		watch *monitor
		sent  int
	)
	results, err := family[coldResult](ctx, jobs, func() (err error) {
		if watch == nil {
			watch, err = startMonitor(nodes.Node(0))
			return err
		}
		sent, err = watch.end(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.add(results, sent)
	return nil
}

func (s *coldSeries) add(results []coldResult, sent int) {
	var l latencies
	runs := 0
	for _, r := range results {
		runs += r.Runs
		l.all = append(l.all, r.Nanos...)
	}
	l.sort()
	s.runs = append(s.runs, float64(runs))
	s.commands = append(s.commands, float64(sent))
	s.late = append(s.late, (l.at(0.99)-float64(coldHandler))/float64(time.Millisecond))
	s.slowest = append(s.slowest, l.at(1)/float64(coldHandler))
}

func coldSection(all []*coldSeries) section {
	s := section{
		title:   fmt.Sprintf("%d cold requests over %d processes", coldRequests, coldProcesses),
		intro:   fmt.Sprintf("All at once for one key whose handler takes %v, over one shared Redis.", coldHandler),
		columns: []string{"library", "runs of the handler", "commands", "p99 ms beyond the handler", "slowest ÷ handler", "reach"},
	}
	for _, c := range all {
		runs, commands, late := spreadOf(c.runs), spreadOf(c.commands), spreadOf(c.late)
		reach := ""
		if strings.HasPrefix(c.name, "dlm ") {
			name := fmt.Sprintf("%d cold requests, %s: ", coldRequests, c.name)
			reach = "runs " + s.atMost(name+"runs", runs.max, 1, "") +
				", commands " + s.atMost(name+"commands", commands.median, 25, "") +
				", p99 " + s.atMost(name+"p99 beyond the handler", late.median, 35, " ms")
		}
		s.row(c.name, runs.plain(), commands.plain(), late.plain(), spreadOf(c.slowest).times(), reach)
	}
	return s
}
