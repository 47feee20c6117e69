package core

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The ring spreads keys over all nodes, the same way in every process, and
// survives a node.
func TestRingSpreadsKeysAlikeInEveryProcess(t *testing.T) {
	nodes := coretest.Redis(t, 3)
	urls := nodes.URLs()
	first, err := New(Config{Nodes: urls})
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	second, err := New(Config{Nodes: []string{urls[2], urls[0], urls[1]}})
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Close()) }()

	ctx := context.Background()
	for i := range 60 {
		require.NoError(t, first.Ring().Set(ctx, fmt.Sprint("ring:", i), i, 0).Err())
		got, err := second.Ring().Get(ctx, fmt.Sprint("ring:", i)).Int()
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	for _, n := range nodes.All() {
		keys, err := n.Keys("ring:")
		require.NoError(t, err)
		require.NotEmpty(t, keys, "node %s got no key", n.Addr())
	}
	require.Same(t, first.Ring(), first.Ring())
}
