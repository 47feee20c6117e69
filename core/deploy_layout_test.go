package core_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestDeployTwoLayoutsShareTheServers: what a version with another layout has
// stored, under names that differ by nothing but the layout's number, is not
// heeded, not read and not touched.
func TestDeployTwoLayoutsShareTheServers(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	a, b := pair(t, core.Config{Nodes: nodes.URLs()})
	held, err := a.Acquire(t.Context(), "order_42", core.WithTTL(heldFor))
	require.NoError(t, err)
	client := nodes.Node(0).Client()
	useStore(t, client)

	for _, n := range nodes.All() {
		copyLayout(t, n)
	}
	others := layoutTwo(t, nodes)
	require.NoError(t, held.Release(t.Context()))
	values, err := nodes.Node(0).Keys("dlm:c1:")
	require.NoError(t, err)
	require.NoError(t, client.Del(t.Context(), values...).Err())

	exercise(t, a, b, nodes.All()) // with order_42, which the other version holds
	useStore(t, client)            // with a key that the other version has a value for
	require.Equal(t, others, layoutTwo(t, nodes))
}

// copyLayout writes all that is there once more, as the next layout's.
func copyLayout(t *testing.T, n *coretest.Node) {
	t.Helper()
	for from, to := range map[string]string{"dlm:1:": "dlm:2:", "dlm:c1:": "dlm:c2:"} {
		keys, err := n.Keys(from)
		require.NoError(t, err)
		for _, key := range keys {
			require.NoError(t, n.Client().Copy(t.Context(), key, to+strings.TrimPrefix(key, from), 0, true).Err())
		}
	}
}

// layoutTwo is all that the next layout has, by node and key.
func layoutTwo(t *testing.T, nodes *coretest.Nodes) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, n := range nodes.All() {
		for _, prefix := range []string{"dlm:2:", "dlm:c2:"} {
			keys, err := n.Keys(prefix)
			require.NoError(t, err)
			require.True(t, len(keys) > 0 || prefix == "dlm:c2:" && n != nodes.Node(0), "nothing to share the server with")
			for _, key := range keys {
				dump, err := n.Client().Dump(t.Context(), key).Result()
				require.NoError(t, err)
				found[n.Addr()+" "+key] = dump
			}
		}
	}
	return found
}
