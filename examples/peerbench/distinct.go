package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// series are the samples of one contender, by round.
type series struct {
	contender
	locker  locker
	samples []sample
	sent    float64 // commands per cycle, counted in a slice that is not timed
}

func (s *series) values(of func(sample) float64) []float64 {
	values := make([]float64, len(s.samples))
	for i, v := range s.samples {
		values[i] = of(v)
	}
	return values
}

func (s *series) median(of func(sample) float64) float64 { return spreadOf(s.values(of)).median }

func reads(v sample) float64 { return v.share(float64(v.cost.reads)) }

func serverMicros(v sample) float64 {
	return v.share(float64(v.cost.serverCPU) / float64(time.Microsecond))
}

func clientMicros(v sample) float64 {
	return v.share(float64(v.cost.clientCPU) / float64(time.Microsecond))
}

// load is a number of nodes with a number of callers, and the most that dlm is
// to take of the time of raw and of redsync; 0 for no goal.
type load struct {
	nodes, callers int
	ofRaw, ofPeer  float64
}

var loads = []load{
	{1, 1, 1.05, 0.5}, {1, 16, 0, 0}, {1, 64, 0.30, 0}, {1, 256, 0, 0},
	{5, 1, 1.05, 0.70}, {5, 16, 0.40, 0}, {5, 64, 0.20, 0.15}, {5, 256, 0.15, 0},
}

// distinctKeys takes and frees keys that nobody else wants.
func distinctKeys(ctx context.Context, b bench) ([]section, error) {
	s := section{
		title: "Acquire and release, distinct keys",
		intro: "Time per acquisition and release. " +
			"Commands as sent by clients, those of scripts not among them; read system calls of the servers, and processor time of the servers and of the client, all per acquisition.",
		columns: []string{"nodes", "callers", "library", "time ÷ raw", "time ÷ redsync", "commands", "reads", "CPU servers ÷ raw", "CPU client ÷ raw", "failed", "reach"},
	}
	for _, n := range []int{1, 5} {
		nodes, err := coretest.Start(ctx, n)
		if err != nil {
			return nil, err
		}
		err = prime(nodes)
		for _, l := range loads {
			if l.nodes == n && err == nil {
				err = s.distinct(b, nodes, l)
			}
		}
		if err = errors.Join(err, nodes.Close()); err != nil {
			return nil, err
		}
	}
	return []section{s}, nil
}

// distinct measures one load.
func (s *section) distinct(b bench, nodes *coretest.Nodes, l load) error {
	all, err := openAll(fit(contenders(), l.nodes), setupFor(nodes, l.callers))
	defer closeSeries(all)
	if err != nil {
		return err
	}
	for _, c := range all { // connections, scripts
		cycle(c.locker, l.callers, warmUp)
	}
	err = interleave(b.rounds, len(all), func(i int) error {
		v, err := drive(nodes, all[i].locker, l.callers, b.slice)
		all[i].samples = append(all[i].samples, v)
		return err
	})
	for _, c := range all {
		if err == nil {
			c.sent, err = counted(nodes, c.locker, l.callers, b.slice/2)
		}
	}
	if err == nil {
		s.distinctRows(all, l)
	}
	return err
}

func openAll(some []contender, with setup) ([]*series, error) {
	var all []*series
	for _, c := range some {
		l, err := c.open(with)
		if err != nil {
			return all, fmt.Errorf("open %s: %w", c.name, err)
		}
		all = append(all, &series{contender: c, locker: l})
	}
	return all, nil
}

func closeSeries(all []*series) {
	for _, c := range all {
		c.locker.close()
	}
}

func named(all []*series, name string) *series {
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (s *section) distinctRows(all []*series, l load) {
	raw, peer := named(all, rawName), named(all, redsyncName)
	rawTime, peerTime := raw.values(sample.perCycle), peer.values(sample.perCycle)
	for _, c := range all {
		own := c.values(sample.perCycle)
		ofRaw, ofPeer := ratios(own, rawTime), ratios(own, peerTime)
		reach := ""
		if c.name == dlmName {
			reach = s.distinctGoals(l, ofRaw, ofPeer)
		}
		var failed int64
		for _, v := range c.samples {
			failed += v.failed
		}
		s.row(fmt.Sprint(l.nodes), fmt.Sprint(l.callers), c.name, ofRaw.times(), ofPeer.times(),
			short(c.sent), short(c.median(reads)),
			ratios(c.values(serverMicros), raw.values(serverMicros)).times(),
			ratios(c.values(clientMicros), raw.values(clientMicros)).times(),
			fmt.Sprint(failed), reach)
		s.bars = append(s.bars, bar{
			group: groupOf(l.nodes, l.callers), name: c.name, value: ofRaw.median, low: ofRaw.min, high: ofRaw.max,
		})
	}
}

func groupOf(nodes, callers int) string {
	return plural(nodes, "node") + ", " + plural(callers, "caller")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (s *section) distinctGoals(l load, ofRaw, ofPeer spread) string {
	reach := ""
	if l.ofRaw > 0 {
		reach = s.atMost(groupOf(l.nodes, l.callers)+": time ÷ raw", ofRaw.median, l.ofRaw, " ×")
	}
	if l.ofPeer > 0 {
		reach += ", redsync " + s.atMost(groupOf(l.nodes, l.callers)+": time ÷ redsync", ofPeer.median, l.ofPeer, " ×")
	}
	return reach
}
