package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// place is where a fleet works.
type place struct {
	processes, nodes int
	rtt              time.Duration // more than loopback's
}

// home is the place that the others are compared with. It comes first.
var home = place{processes: 4, nodes: 5}

var places = []place{
	home,
	{1, 5, 0}, {2, 5, 0}, {8, 5, 0},
	{4, 1, 0}, {4, 3, 0}, {4, 7, 0},
	{4, 5, time.Millisecond}, {4, 5, 10 * time.Millisecond},
}

// workload is what the fleet does there.
type workload struct {
	name     string
	distinct bool
	hold     time.Duration
}

var workloads = []workload{{"distinct keys", true, 0}, {"one hot key", false, hotHold}}

// scalingTable shows what throughput and commands depend on.
func scalingTable(ctx context.Context, b bench) ([]section, error) {
	s := section{
		title: "Scaling",
		intro: fmt.Sprintf("%d callers per process; against dlm's own acquisitions per second at %s, and against redsync's at the same place.", hotCallers, home),
		columns: []string{
			"workload", "processes", "nodes", "round trip", "acquisitions/s ÷ home", "÷ redsync here",
			"commands", "redsync's", "server reads", "Jain",
		},
	}
	for _, w := range workloads {
		var base []float64
		for _, p := range places {
			dlm, peer, err := p.measure(ctx, b, w)
			if err != nil {
				return nil, err
			}
			if p == home {
				base = dlm.values(hotSample.turnRate)
			}
			s.scalingRow(w, p, dlm, peer, base)
		}
	}
	return []section{s}, nil
}

func (p place) String() string {
	return processes(p.processes) + ", " + plural(p.nodes, "node") + ", " + p.trip()
}

func (p place) trip() string {
	if p.rtt == 0 {
		return "loopback"
	}
	return p.rtt.String()
}

func (s *section) scalingRow(w workload, p place, dlm, peer *hotSeries, base []float64) {
	rate := dlm.values(hotSample.turnRate)
	s.row(w.name, fmt.Sprint(p.processes), fmt.Sprint(p.nodes), p.trip(),
		ratios(rate, base).times(), ratios(rate, peer.values(hotSample.turnRate)).times(),
		short(dlm.watched.commands), short(peer.watched.commands),
		short(dlm.median(func(v hotSample) float64 { return v.reads })),
		short(dlm.median(func(v hotSample) float64 { return v.jain })))
}

// measure starts the nodes of a place and has dlm and redsync take turns there.
func (p place) measure(ctx context.Context, b bench, w workload) (dlm, peer *hotSeries, err error) {
	nodes, err := coretest.Start(ctx, p.nodes)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	if err := prime(nodes); err != nil {
		return nil, nil, err
	}
	urls, far, err := p.reach(nodes)
	defer func() { err = errors.Join(err, far.close()) }()
	if err != nil {
		return nil, nil, err
	}
	all := []*hotSeries{{contender: dlmContender()}, {contender: redsyncContender()}}
	slice := func(c contender, watched bool) (hotSample, error) {
		return together(ctx, nodes, c, p.processes, watched, hotJob{
			Setup: setup{URLs: urls, Callers: hotCallers}, Distinct: w.distinct, Hold: w.hold, For: b.hot / 3,
		})
	}
	err = interleave(min(b.rounds, 3), len(all), func(i int) error {
		v, err := slice(all[i].contender, false)
		all[i].samples = append(all[i].samples, v)
		return err
	})
	if err == nil {
		err = watch(all, func(c contender) (hotSample, error) { return slice(c, true) })
	}
	return all[0], all[1], err
}

// distance are the proxies that make nodes far away.
type distance []*coretest.Proxy

func (p place) reach(nodes *coretest.Nodes) (urls []string, d distance, err error) {
	if p.rtt == 0 {
		return nodes.URLs(), nil, nil
	}
	for _, u := range nodes.URLs() {
		proxy, err := coretest.StartProxy(u)
		if err != nil {
			return nil, d, err
		}
		proxy.Delay(p.rtt/2, p.rtt/2)
		d, urls = append(d, proxy), append(urls, proxy.URL())
	}
	return urls, d, nil
}

func (d distance) close() error {
	var errs []error
	for _, p := range d {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}
