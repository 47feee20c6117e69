package core

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// documentedRights are the rules of the user in the package's documentation.
func documentedRights(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if _, rules, found := strings.Cut(line, "ACL SETUSER dlm "); found {
			return strings.Fields(rules)
		}
	}
	t.Fatal("doc.go names no rights")
	return nil
}

var errorStat = regexp.MustCompile(`errorstat_(\w+)`)

// A user with the documented rights can do all there is to do, and was refused
// nothing.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	rights := documentedRights(t)
	var urls []string
	for _, n := range nodes.All() {
		require.NoError(t, n.ACL("dlm", rights...))
		urls = append(urls, (&url.URL{Scheme: "redis", Host: n.Addr(), User: url.UserPassword("dlm", "password")}).String())
	}
	m, other := managerOn(t, urls, withTTL(time.Second)), managerOn(t, urls, withTTL(time.Second))
	for _, flush := range []bool{false, true} {
		if flush {
			require.NoError(t, nodes.ScriptFlush())
		}
		l := hold(t, m, "k", WithTTL(time.Minute))
		waiting := acquireSoon(t, other, "k")
		awaitRegistered(t, other, "k", 1, nodes.All()...)
		require.NoError(t, l.Extend(t.Context(), time.Minute))
		_, err := other.Inspect(t.Context(), "k")
		require.NoError(t, err)
		h, err := m.Health(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, h.Nodes[0].Version)
		require.NoError(t, l.Release(t.Context()))
		g := <-waiting
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
	}
	require.NoError(t, nodes.Node(0).FlushAll())
	requireVoting(t, m, 3)
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
	for _, n := range nodes.All() {
		refused, err := n.Client().Do(t.Context(), "ACL", "LOG").Slice()
		require.NoError(t, err)
		require.Empty(t, refused)
		answered, err := n.Client().Info(t.Context(), "errorstats").Result()
		require.NoError(t, err)
		for _, code := range errorStat.FindAllStringSubmatch(answered, -1) { // older servers refuse what they do not know, which newer ones log
			require.Equal(t, "NOSCRIPT", code[1], answered)
		}
	}
	// And nothing else: another application's keys are out of reach.
	client := redis.NewClient(&redis.Options{Addr: nodes.Node(0).Addr(), Username: "dlm", Password: "password"})
	defer client.Close() //nolint:errcheck // end of the test
	require.ErrorContains(t, client.Get(context.Background(), "theirs").Err(), "NOPERM")
	require.ErrorContains(t, client.FlushAll(context.Background()).Err(), "NOPERM")
}
