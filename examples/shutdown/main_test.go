//go:build unix

package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/subprocess"
)

func TestMain(m *testing.M) { subprocess.Main(m, main) }

const patience = 20 * time.Second

// client is a load balancer and those behind it: it asks who is ready, and pays.
type client struct {
	http.Client
	nodes [2]string

	paid  atomic.Int64 // answers with 200
	moved atomic.Int64 // callers of pay that the second node has served
	lost  atomic.Value // what else was answered, as text
}

func (c *client) status(method, url string) string {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(req)
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	return resp.Status
}

// pay pays one order over and over until ctx ends.
func (c *client) pay(ctx context.Context) {
	for moved := false; ctx.Err() == nil; {
		node := 0
		if c.status(http.MethodGet, c.nodes[0]+"/readyz") != "200 OK" {
			node = 1
		}
		if status := c.status(http.MethodPost, c.nodes[node]+"/orders/42/pay"); status != "200 OK" {
			c.lost.Store(status)
			return
		}
		c.paid.Add(1)
		if node == 1 && !moved {
			moved = true
			c.moved.Add(1)
		}
	}
}

func TestNothingIsLostAndNobodyWaits(t *testing.T) {
	nodes := coretest.Redis(t, 3)
	t.Setenv("REDIS_NODES", strings.Join(nodes.URLs(), ","))
	first := subprocess.Start(t, "-addr=127.0.0.1:0")
	first.Await("leading")
	second := subprocess.Start(t, "-addr=127.0.0.1:0")
	c := &client{nodes: [2]string{"http://" + first.Await("listening on "), "http://" + second.Await("listening on ")}}
	c.Transport = &http.Transport{DisableKeepAlives: true}
	c.Timeout = patience
	require.Eventually(t, func() bool { return c.status(http.MethodGet, c.nodes[1]+"/readyz") == "200 OK" }, patience, time.Millisecond)

	const payers = 8
	ctx, enough := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range payers {
		load.Go(func() { c.pay(ctx) })
	}
	require.Eventually(t, func() bool { return c.paid.Load() > 20 }, patience, time.Millisecond)

	before := lease(t, nodes)
	first.Signal(syscall.SIGTERM)
	first.Await("led")
	second.Await("leading")
	require.True(t, time.Now().Before(before), "it waited until the lease was over")

	// As in life, listening ends when no client comes any more.
	require.Eventually(t, func() bool { return c.moved.Load() == payers }, patience, time.Millisecond)
	first.Signal(syscall.SIGTERM)
	stderr, err := first.Wait()
	require.NoError(t, err, stderr)
	enough()
	load.Wait()
	require.Nil(t, c.lost.Load(), "after %d payments", c.paid.Load())

	second.Signal(syscall.SIGTERM)
	second.Signal(syscall.SIGINT)
	stderr, err = second.Wait()
	require.NoError(t, err, stderr)
}

// lease is when the leader's lock would end by itself.
func lease(t *testing.T, nodes *coretest.Nodes) time.Time {
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	require.NoError(t, err)
	defer locks.Close()
	info, err := locks.Inspect(t.Context(), "leader")
	require.NoError(t, err)
	return info.ExpiresAt
}
