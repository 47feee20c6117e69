package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The whole way: 100 requests for one key at once, over sockets, to a process
// of each framework, on real Redis servers.
func TestHundredRequestsForOneKey(t *testing.T) {
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprintf("%d nodes, payments never overlap", n), func(t *testing.T) {
			o := openSpine(t, n).hundred("POST", "/pay/")
			require.NoError(t, nothingLost(&o))
			require.Equal(t, 100, o.runs())
		})
		t.Run(fmt.Sprintf("%d nodes, reports never overlap", n), func(t *testing.T) {
			o := openSpine(t, n).hundred("GET", "/reports/")
			require.NoError(t, nothingLost(&o))
		})
		t.Run(fmt.Sprintf("%d nodes, a quote is made once", n), func(t *testing.T) {
			o := openSpine(t, n).hundred("GET", "/quotes/")
			require.NoError(t, oneRunPerKey(&o))
		})
	}
}

// Every server has its turn to die, as they differ in what they hold: the queue
// of those who wait, or nothing but a vote.
func TestHundredRequestsForOneKeyWhileANodeDies(t *testing.T) {
	for _, n := range []int{3, 5} {
		for victim := range n {
			t.Run(fmt.Sprintf("node %d of %d", victim, n), func(t *testing.T) {
				s := openSpine(t, n)
				s.killAt50 = s.nodes.Node(victim)
				o := s.hundred("POST", "/pay/")
				require.NoError(t, nothingLost(&o))
				require.Equal(t, 100, o.runs())
			})
		}
	}
}

// spine is a fleet on real servers.
type spine struct {
	*testing.T
	nodes    *coretest.Nodes
	fleet    *fleet
	killAt50 *coretest.Node // once 50 requests are answered; nil for none
}

func openSpine(t *testing.T, n int) *spine {
	nodes := coretest.Redis(t, n)
	f, err := startFleet(t.Context(), nodes.URLs())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		if t.Failed() {
			t.Log(f.logs())
		}
	})
	return &spine{T: t, nodes: nodes, fleet: f}
}

// hundred sends the requests and gathers what clients and witness saw.
func (s *spine) hundred(method, path string) outcome {
	b := &burst{
		requests: 100, atOnce: 100,
		send: func(i int) reply {
			return s.fleet.request(context.Background(), method, s.fleet.processes[i%len(s.fleet.processes)].url+path+"42")
		},
		answered: func(n int) error {
			if n == 50 && s.killAt50 != nil {
				return s.killAt50.Kill()
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
