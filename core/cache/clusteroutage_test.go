package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// keysOn are the keys of a Cache without a namespace whose entries a node has.
func keysOn(t *testing.T, n *coretest.Node) (keys []string) {
	all, err := n.Keys("dlm:c1:")
	require.NoError(t, err)
	for _, name := range all {
		if _, key, ok := strings.Cut(name, "}:e:\x00"); ok {
			keys = append(keys, key)
		}
	}
	require.NotEmpty(t, keys)
	return keys
}

// TestClusterLosesAMaster: its keys fail open, within the store's time, and the
// others stay what they were; when it returns, empty, its keys are stored again.
func TestClusterLosesAMaster(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3, coretest.WithConfig("cluster-require-full-coverage", "no"))
	client := clusterClient(t, cluster)
	c := open[string](t, cache.Config{
		Fresh: time.Hour, StoreTimeout: outageTimeout, Locks: manager(t, coretest.Redis(t, 1).Clients()), Store: cache.NewRedis(client),
	})
	for i := range 60 {
		stored(t, c, "old", fmt.Sprint("k", i))
	}
	victim := cluster.Node((tagMaster(t, cluster) + 1) % 3)
	lost := keysOn(t, victim)
	var kept []string
	for _, n := range cluster.All() {
		if n != victim {
			kept = append(kept, keysOn(t, n)...)
		}
	}
	require.NoError(t, victim.Kill())
	unaffected := func() {
		for _, key := range kept {
			v, err := c.Get(t.Context(), key, unexpected[string](t))
			require.NoError(t, err)
			require.Equal(t, "old", v)
		}
	}
	unaffected()
	for _, key := range lost[:3] {
		begun := time.Now()
		fetches, errs := together(t, c, key, 20)
		assert.Less(t, time.Since(begun), outageCall)
		assert.Empty(t, errs)
		assert.Equal(t, 1, fetches)
		unaffected()
	}
	for _, key := range lost { // more of them than it takes to leave a server alone
		_, err := c.Get(t.Context(), key, value("unstored"))
		require.NoError(t, err)
	}
	unaffected()
	assert.ErrorIs(t, c.Invalidate(t.Context(), lost[0]), cache.ErrStore)
	purged(t, c, kept[0])
	_, ok := c.Peek(t.Context(), kept[0])
	assert.False(t, ok)

	require.NoError(t, victim.Restart())
	for _, key := range lost {
		stored(t, c, "new", key)
		v, err := c.Get(t.Context(), key, unexpected[string](t))
		require.NoError(t, err)
		assert.Equal(t, "new", v, "it came back empty")
	}
}

// TestClusterLosesTheMasterOfItsTags: what has no tags, and is on other masters, is
// read, purged and stored as ever; what has some is fetched, and not stored, as
// nobody could say whether it is purged.
func TestClusterLosesTheMasterOfItsTags(t *testing.T) {
	t.Parallel()
	for _, outage := range []struct {
		name       string
		begin, end func(*coretest.Node) error
	}{
		{"killed", (*coretest.Node).Kill, (*coretest.Node).Restart},
		{"frozen", (*coretest.Node).Freeze, (*coretest.Node).Thaw},
	} {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			cluster := coretest.Cluster(t, 3, coretest.WithConfig("cluster-require-full-coverage", "no"))
			c := open[*page](t, cache.Config{
				Fresh: time.Hour, StoreTimeout: 4 * outageTimeout, Locks: manager(t, coretest.Redis(t, 1).Clients()),
				Store: cache.NewRedis(clusterClient(t, cluster)),
			})
			plain, red := cache.Policy{Fresh: time.Hour}, cache.Policy{Fresh: time.Hour, Tags: []string{"red"}}
			for i := range 30 {
				stored(t, c, &page{"old", plain}, fmt.Sprint("plain", i))
				stored(t, c, &page{"old", red}, fmt.Sprint("tagged", i))
			}
			index := tagMaster(t, cluster)
			var untagged, tagged []string
			for _, key := range keysOn(t, cluster.Node((index+1)%3)) {
				if strings.HasPrefix(key, "plain") {
					untagged = append(untagged, key)
				} else {
					tagged = append(tagged, key)
				}
			}
			require.NotEmpty(t, tagged)
			require.NoError(t, outage.begin(cluster.Node(index)))

			found := func(key, body string) bool {
				r, ok := c.Peek(t.Context(), key)
				return ok && r.Value.Body == body
			}
			for _, key := range untagged {
				require.Eventually(t, func() bool { return found(key, "old") }, patience, time.Millisecond)
			}
			for _, key := range tagged[:2] {
				r, err := c.Lookup(t.Context(), key, value(&page{"made", red}))
				require.NoError(t, err)
				assert.Equal(t, "made", r.Value.Body)
				assert.False(t, r.Stored)
			}
			purged(t, c, untagged[0], tagged[0])
			assert.False(t, found(untagged[0], "old"))
			stored(t, c, &page{"new", plain}, untagged[0])
			r, err := c.Lookup(t.Context(), tagged[0], value(&page{"made", red}))
			require.NoError(t, err)
			assert.False(t, r.Stored, "a tag may be purged without our knowing")
			assert.ErrorIs(t, c.InvalidateTag(t.Context(), "red"), cache.ErrStore)

			require.NoError(t, outage.end(cluster.Node(index)))
			require.Eventually(t, func() bool { // again, if the purge that was given up comes late
				_, err := c.Lookup(t.Context(), tagged[0], value(&page{"new", red}))
				return err == nil && found(tagged[0], "new")
			}, patience, time.Millisecond)
			purgedTag(t, c, "red")
			assert.False(t, found(tagged[0], "new"))
		})
	}
}
