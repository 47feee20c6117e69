package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The whole way: 100 requests for one key at once, over sockets, to a process
// of each framework, on real Redis servers of which one is killed half way.
// Every server has its turn, as they differ in what they hold: the queue of
// those who wait, the stored response, nothing but a vote.
func TestHundredRequestsForOneKey(t *testing.T) {
	for _, n := range []int{3, 5} {
		for victim := range n {
			t.Run(fmt.Sprintf("%d of %d is killed", victim, n), func(t *testing.T) {
				t.Parallel()
				t.Run("payments never overlap", func(t *testing.T) {
					s := openSpine(t, n, victim)
					o := s.hundred("POST", "/pay/")
					require.NoError(t, nothingLost(&o))
					require.Equal(t, 100, o.runs())
				})
				t.Run("reports never overlap", func(t *testing.T) {
					s := openSpine(t, n, victim)
					o := s.hundred("GET", "/reports/")
					require.NoError(t, nothingLost(&o))
				})
				t.Run("a quote is made once", func(t *testing.T) {
					s := openSpine(t, n, victim)
					o := s.hundred("GET", "/quotes/")
					require.NoError(t, oneRunPerKey(&o))
				})
				t.Run("a quote is made by each process once at most though the node dies meanwhile", func(t *testing.T) {
					s := openSpine(t, n, victim)
					s.duringRun = true
					o := s.hundred("GET", "/quotes/")
					// A process that has not noticed yet looks for the quote where it was stored.
					require.LessOrEqual(t, o.runs(), len(s.fleet.processes))
				})
			})
		}
	}
}

// spine is a fleet on real servers, one of which is about to die.
type spine struct {
	*testing.T
	fleet     *fleet
	kill      func() // once
	duringRun bool   // killed when the first handler begins, not after 50 answers
	saw       []string
}

func openSpine(t *testing.T, n, victim int) *spine {
	nodes := coretest.Redis(t, n)
	f, err := startFleet(t.Context(), nodes.URLs())
	require.NoError(t, err)
	require.NoError(t, f.awaitVotes(t.Context(), n), "all nodes are there before one is killed")
	s := &spine{T: t, fleet: f, kill: sync.OnceFunc(func() { _ = nodes.Node(victim).Kill() })}
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		if t.Failed() {
			t.Log(strings.Join(s.saw, "\n"), f.logs())
		}
	})
	return s
}

// hundred sends the requests and gathers what clients and witness saw.
func (s *spine) hundred(method, path string) outcome {
	began := time.Now()
	s.fleet.witness.watch(func(seen sighting) {
		s.saw = append(s.saw, fmt.Sprintf("%v %+v", time.Since(began), seen))
		if s.duringRun {
			s.kill()
		}
	})
	b := &burst{
		requests: 100, atOnce: 100,
		send: func(i int) reply {
			return s.fleet.request(context.Background(), method, s.fleet.processes[i%len(s.fleet.processes)].url+path+"42")
		},
		answered: func(n int) error {
			if n == 50 {
				s.kill()
			}
			return nil
		},
	}
	replies, err := b.run()
	require.NoError(s, err)
	o := outcome{act: act{perKey: 100}, replies: replies, records: s.fleet.witness.take()}
	require.NoError(s, allServed(&o))
	require.NoError(s, neverTwoAtOnce(&o))
	return o
}
