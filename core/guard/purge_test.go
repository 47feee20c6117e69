package guard_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// A purge costs the server no walk through its keys, whatever it is asked to purge.
func TestPurgeEnumeratesNothing(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	g := newGuard(t, guard.Config{Locks: locks, Fresh: time.Hour})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Tag", "a") }))
	for _, path := range []string{"/1", "/2", "/*"} {
		require.Equal(t, http.StatusOK, asked(h, path))
	}
	require.Eventually(t, func() bool {
		return g.Purge(t.Context(), "*", "/?", "/[12]", "/*") == nil && g.PurgeTags(t.Context(), "*", "[a]", "a") == nil
	}, patience, time.Millisecond)
	calls, err := nodes.Node(0).CommandCalls()
	require.NoError(t, err)
	require.NotEmpty(t, calls)
	for _, command := range []string{"keys", "scan", "sscan", "hscan", "zscan", "hgetall", "smembers", "flushdb", "flushall"} {
		require.Zero(t, calls[command], command)
	}
}
