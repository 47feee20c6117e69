package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

const (
	hotProcesses = 4
	hotCallers   = 16
	hotHold      = time.Millisecond
)

// hotSample is one slice of one contender on the hot key.
type hotSample struct {
	timeline
	seconds   float64
	commands  float64 // per turn; in a slice that was watched, which is not timed
	reads     float64
	serverCPU float64 // µs per turn
	clientCPU float64
}

func (h hotSample) switchRate() float64 { return float64(h.switches) / h.seconds }
func (h hotSample) turnRate() float64   { return float64(h.turns) / h.seconds }

type hotSeries struct {
	contender
	samples []hotSample
	watched hotSample
}

func (s *hotSeries) values(of func(hotSample) float64) []float64 {
	values := make([]float64, len(s.samples))
	for i, v := range s.samples {
		values[i] = of(v)
	}
	return values
}

func (s *hotSeries) median(of func(hotSample) float64) float64 {
	return spreadOf(s.values(of)).median
}

// hotGoals are what dlm is to reach on so many nodes.
type hotGoals struct{ nodes, switches, commands, between, inside float64 }

// hotKey has the callers of several processes fight for one key.
func hotKey(ctx context.Context, b bench) ([]section, error) {
	s := section{
		title: "One hot key",
		intro: fmt.Sprintf("%d processes × %d callers, all after one key, each holding it for %v. ", hotProcesses, hotCallers, hotHold) +
			"Owner switches are acquisitions by another caller than the one before: plain counts flatter libraries whose releaser grabs the lock right back. " +
			"Slowest wait ÷ mean wait, waits cut short by the end included; Jain's index over the callers' counts.",
		columns: []string{
			"nodes", "library", "owner switches ÷ redsync", "acquisitions ÷ redsync", "commands", "reads",
			"CPU servers ÷ redsync", "CPU clients ÷ redsync", "slowest ÷ mean", "Jain", "starved", "overlaps",
			"switch p50 between processes", "inside one", "reach",
		},
	}
	for _, goals := range []hotGoals{{1, 11, 2.1, 500, 20}, {5, 7, 7, 0, 0}} {
		if err := s.hot(ctx, b, goals); err != nil {
			return nil, err
		}
	}
	return []section{s}, nil
}

func (s *section) hot(ctx context.Context, b bench, goals hotGoals) error {
	nodes, err := coretest.Start(ctx, int(goals.nodes))
	if err != nil {
		return err
	}
	var all []*hotSeries
	for _, c := range without(fit(contenders(), nodes.Len()), rawName) {
		all = append(all, &hotSeries{contender: c})
	}
	err = interleave(min(b.rounds, 3), len(all), func(i int) error {
		v, err := fight(ctx, nodes, all[i].contender, b.hot, false)
		all[i].samples = append(all[i].samples, v)
		return err
	})
	if err == nil {
		err = watch(all, func(c contender) (hotSample, error) { return fight(ctx, nodes, c, b.hot/3, true) })
	}
	if err == nil {
		s.hotRows(all, goals)
	}
	return errors.Join(err, nodes.Close())
}

// watch gives each its slice in which the commands are counted.
func watch(all []*hotSeries, slice func(contender) (hotSample, error)) (err error) {
	for _, c := range all {
		if err == nil {
			c.watched, err = slice(c.contender)
		}
	}
	return err
}

// fight is one slice.
func fight(ctx context.Context, nodes *coretest.Nodes, c contender, d time.Duration, watched bool) (hotSample, error) {
	return together(ctx, nodes, c, hotProcesses, watched, hotJob{
		Setup: setupFor(nodes, hotCallers), Hold: hotHold, For: d,
	})
}

// together has so many processes do the same job at once, and counts the commands
// if it is watched.
func together(ctx context.Context, nodes *coretest.Nodes, c contender, processes int, watched bool, j hotJob) (hotSample, error) {
	j.Contender, j.Key = c.name, fmt.Sprintf("hot:%d", nextKey.Add(1))
	jobs := make([]job, processes)
	for i := range jobs {
		jobs[i].Hot = &j
	}
	g := gauge{nodes: nodes, watched: watched}
	results, err := family[hotResult](ctx, jobs, func() error { return g.read(ctx) })
	if err != nil {
		return hotSample{}, fmt.Errorf("%s: %w", c.name, err)
	}
	v := hotSampleOf(results, g.costs[1].since(g.costs[0], nodes.Len()), j.For)
	v.commands = g.sent / max(float64(v.turns), 1)
	return v, nil
}

// gauge is read before and after.
type gauge struct {
	nodes   *coretest.Nodes
	watched bool
	costs   []cost
	watch   monitors
	sent    float64
}

func (g *gauge) read(ctx context.Context) (err error) {
	if g.watched && g.watch != nil {
		g.sent, err = g.watch.end(ctx)
	}
	k, costErr := readCost(g.nodes)
	g.costs = append(g.costs, k)
	if g.watched && g.watch == nil {
		g.watch, err = startMonitors(g.nodes)
	}
	return errors.Join(err, costErr)
}

func hotSampleOf(results []hotResult, k cost, d time.Duration) hotSample {
	v := hotSample{timeline: timelineOf(results), seconds: d.Seconds()}
	turns := max(float64(v.turns), 1)
	v.reads = float64(k.reads) / turns
	v.serverCPU = micros(float64(k.serverCPU)) / turns
	for _, r := range results {
		v.clientCPU += micros(float64(r.CPU)) / turns
	}
	return v
}

func (s *section) hotRows(all []*hotSeries, goals hotGoals) {
	var peer *hotSeries
	for _, c := range all {
		if c.name == redsyncName {
			peer = c
		}
	}
	compare := func(c *hotSeries, of func(hotSample) float64) spread { return ratios(c.values(of), peer.values(of)) }
	for _, c := range all {
		switches := compare(c, hotSample.switchRate)
		worst := c.worst()
		between, inside := c.gaps()
		reach := ""
		if c.name == dlmName {
			reach = s.hotReach(c, goals, switches.median)
		}
		s.row(exact(goals.nodes), c.name, switches.times(), compare(c, hotSample.turnRate).times(),
			short(c.watched.commands),
			short(c.median(func(v hotSample) float64 { return v.reads })),
			compare(c, func(v hotSample) float64 { return v.serverCPU }).times(),
			compare(c, func(v hotSample) float64 { return v.clientCPU }).times(),
			short(c.median(func(v hotSample) float64 { return v.slowest })),
			short(c.median(func(v hotSample) float64 { return v.jain })),
			fmt.Sprint(worst.starved), fmt.Sprint(worst.overlaps), duration(between), duration(inside), reach)
		s.bars = append(s.bars, bar{
			group: plural(int(goals.nodes), "node") + ", hot key", name: c.name,
			value: switches.median, low: switches.min, high: switches.max,
		})
	}
}

// worst are the sums of what must not happen.
func (s *hotSeries) worst() (sum timeline) {
	for _, v := range s.samples {
		sum.starved += v.starved
		sum.overlaps += v.overlaps
	}
	return sum
}

// gaps are the medians over all rounds, in µs.
func (s *hotSeries) gaps() (between, inside float64) {
	var b, i []float64
	for _, v := range s.samples {
		b, i = append(b, v.between...), append(i, v.inside...)
	}
	return micros(spreadOf(b).median), micros(spreadOf(i).median)
}

func (s *section) hotReach(c *hotSeries, goals hotGoals, switches float64) string {
	name := "hot key, " + plural(int(goals.nodes), "node") + ": "
	worst := c.worst()
	between, inside := c.gaps()
	reach := s.atLeast(name+"owner switches ÷ redsync", switches, goals.switches, " ×") +
		", commands " + s.atMost(name+"commands per acquisition", c.watched.commands, goals.commands, "") +
		", slowest " + s.atMost(name+"slowest ÷ mean wait", c.median(func(v hotSample) float64 { return v.slowest }), 10, "") +
		", starved " + s.atMost(name+"callers starved", float64(worst.starved), 0, "") +
		", overlaps " + s.atMost(name+"overlaps", float64(worst.overlaps), 0, "")
	if goals.between > 0 {
		reach += ", between " + s.atMost(name+"switch p50 between processes", between, goals.between, " µs") +
			", inside " + s.atMost(name+"switch p50 inside one", inside, goals.inside, " µs")
	}
	return reach
}

// duration shows µs.
func duration(us float64) string {
	if us >= 1000 {
		return short(us/1000) + " ms"
	}
	return short(us) + " µs"
}
