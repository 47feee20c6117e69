package core

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The quarantine of a node that was taken for one that lost its data would last
// longer than the test.
const never = 10 * time.Hour

func TestProcessesFindANewDeploymentTogether(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	for round := range 10 {
		managers := make([]*Manager, 4)
		var starting sync.WaitGroup
		for i := range managers {
			starting.Go(func() {
				managers[i], _ = New(Config{Nodes: nodes.URLs(), Prefix: fmt.Sprint("round", round), TTL: never, NodeTimeout: unhurried})
			})
		}
		starting.Wait()
		for _, m := range managers {
			require.NotNil(t, m)
			requireVoting(t, m, 5)
			require.NoError(t, m.Close())
		}
	}
}

func TestMarkerOnItsWayIsNoLoss(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	managerOn(t, nodes.URLs()[:4], withTTL(never)) // has reached four of them so far
	m := managerOn(t, nodes.URLs(), withTTL(never))
	late := time.Now().Add(time.Hour)
	m.founded.Store(&late) // however slow the machine
	requireVoting(t, m, 4)
	require.Eventually(t, func() bool {
		b := m.nodes[4].ballot.Load()
		return b != nil && b.why == errUndecided //nolint:errorlint // our own
	}, patience, time.Millisecond)
	managerOn(t, nodes.URLs()[4:], withTTL(never))
	requireVoting(t, m, 5)
}

func TestMarkerThatDoesNotComeIsALoss(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	managerOn(t, nodes.URLs()[:4], withTTL(never))
	m := managerOn(t, nodes.URLs(), withTTL(never))
	require.Eventually(t, func() bool {
		b := m.nodes[4].ballot.Load()
		return b != nil && b.id != "" && b.refusal(time.Now()) != nil
	}, patience, 5*time.Millisecond)
	requireVoting(t, m, 4)
}

// On a machine so slow that the first nodes are met late, the others come with
// them, not a whole lease after.
func TestStragglerBelongsToTheDeploymentThatIsFounded(t *testing.T) {
	t.Run("none is early", func(t *testing.T) { found(t, meetTimeout, meetTimeout, meetTimeout) })
	t.Run("one is late", func(t *testing.T) { found(t, 0, 0, 3*meetTimeout/2) })
}

// found begins a deployment whose nodes take so long to connect, and a little.
func found(t *testing.T, delays ...time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, len(delays))
		cfg := Config{TTL: time.Hour}
		for i := range nodes.Len() {
			opt := nodes.Node(i).Options()
			opt.Addr = fmt.Sprint("straggler-", i)
			dial := opt.Dialer
			opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				time.Sleep(delays[i] + time.Duration(i+1)*100*time.Millisecond)
				return dial(ctx, network, addr)
			}
			client := redis.NewClient(opt)
			defer func() { require.NoError(t, client.Close()) }()
			cfg.Clients = append(cfg.Clients, client)
		}
		m, err := New(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Close()) }()
		require.Equal(t, len(delays), voters(m))
	})
}
