package core

import (
	"fmt"
	"sync"
	"testing"
	"time"

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
