package main

import (
	"context"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// locker is one library, connected.
type locker interface {
	acquire(ctx context.Context, key string) (held, error)
	close()
}

// held is a lock that was granted.
type held interface {
	Release(ctx context.Context) error
}

// setup is what a library is opened with.
type setup struct {
	URLs    []string // of the independent nodes
	Callers int      // how many callers there will be at once
}

// contender is one library in one configuration.
type contender struct {
	name   string
	tuning string // what differs from the default configuration
	single bool   // works on one Redis, not on a quorum of several
	renews bool   // renews its locks by itself
	open   func(setup) (locker, error)
}

const (
	rawName     = "raw"
	dlmName     = "dlm"
	redsyncName = "redsync"
)

// contenders are all, the floor first.
func contenders() []contender {
	return []contender{
		rawContender(), dlmContender(),
		redsyncContender(), redsyncTuned(),
		redislockContender(), redislockTuned(),
		rueidislockContender(), rueidislockTuned(),
	}
}

// fit are the contenders that work on so many nodes.
func fit(all []contender, nodes int) []contender {
	var some []contender
	for _, c := range all {
		if nodes == 1 || !c.single {
			some = append(some, c)
		}
	}
	return some
}

// without leaves out those of the names.
func without(all []contender, names ...string) []contender {
	var some []contender
next:
	for _, c := range all {
		for _, name := range names {
			if c.name == name {
				continue next
			}
		}
		some = append(some, c)
	}
	return some
}

func contenderNamed(name string) (contender, bool) {
	for _, c := range contenders() {
		if c.name == name {
			return c, true
		}
	}
	return contender{}, false
}

func setupFor(nodes *coretest.Nodes, callers int) setup {
	return setup{URLs: nodes.URLs(), Callers: callers}
}
