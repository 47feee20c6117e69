package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A lock lasts as long as a majority has it, not as long as one node.
func TestInspectTellsTheMajoritysTTL(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	requireHolders(t, hold(t, m, "k"), nodes.All()...)
	require.NoError(t, nodes.Node(2).Kill())
	for i, left := range []time.Duration{20 * time.Minute, 10 * time.Minute} {
		require.NoError(t, nodes.Node(i).Client().PExpire(t.Context(), m.namesOf("k").lock, left).Err())
	}
	info, err := m.Inspect(t.Context(), "k")
	require.NoError(t, err)
	require.InDelta(t, 10*time.Minute, info.TTL, float64(time.Minute))
}

func TestInspect(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs(), withNodeTimeout(frozen))
	const key, note = "a:b{c}", "who:\x00\r\nwhy"
	_, err := other.Inspect(t.Context(), key)
	require.ErrorIs(t, err, ErrNotLocked)
	locked, err := other.IsLocked(t.Context(), key)
	require.NoError(t, err)
	require.False(t, locked)

	began := time.Now()
	l := hold(t, m, key, WithMetadata(note), WithTTL(time.Hour))
	requireHolders(t, l, nodes.All()...)
	require.Equal(t, note, l.Info().Metadata)
	info, err := other.Inspect(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, key, info.Key)
	require.Equal(t, l.Owner(), info.Owner)
	require.Equal(t, note, info.Metadata)
	require.Equal(t, l.FencingToken(), info.FencingToken)
	require.WithinDuration(t, began, info.AcquiredAt, time.Minute)
	require.WithinDuration(t, began.Add(time.Hour), info.ExpiresAt, time.Minute)
	require.InDelta(t, time.Hour, info.TTL, float64(time.Minute))
	require.GreaterOrEqual(t, len(info.Nodes), 2) // a majority is enough of an answer
	locked, err = other.IsLocked(t.Context(), key)
	require.NoError(t, err)
	require.True(t, locked)

	// A minority neither holds a lock nor hides one, and one that is silent delays nobody.
	for i, n := range nodes.All() {
		require.NoError(t, n.Freeze())
		quickly(t, "inspect", func() {
			info, err = other.Inspect(t.Context(), key)
			require.NoError(t, err)
			require.NotContains(t, info.Nodes, n.Addr())
		})
		require.NoError(t, n.Thaw())
		take(t, m, "minority", nodes.Node(0))
		locked, err = other.IsLocked(t.Context(), "minority")
		require.NoError(t, err, i)
		require.False(t, locked)
		requireVoting(t, other, 3)
	}
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Kill())
	}
	_, err = other.Inspect(t.Context(), key)
	require.ErrorIs(t, err, ErrNoQuorum)
	require.NotErrorIs(t, err, ErrNotLocked)
	_, err = other.IsLocked(t.Context(), key)
	require.ErrorIs(t, err, ErrNoQuorum)
	_, err = m.Inspect(t.Context(), "")
	require.ErrorIs(t, err, ErrInvalid)
}
