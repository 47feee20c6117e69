package core_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// The deployments that examples/deploy describes, each with real servers. What
// is read from its files is tested here as it is printed there.

const (
	deployed = 20 * time.Second // patience with servers on a machine under load
	heldFor  = time.Minute
)

// exercise makes a and b, as two processes, use all that a deployment must
// allow: grants, renewals, refusals, waiting for each other, fencing, reports.
// nodes are all servers that they use.
func exercise(t *testing.T, a, b *core.Manager, nodes []*coretest.Node) {
	t.Helper()
	ctx := t.Context()
	first, err := a.Acquire(ctx, "order_42", core.WithTTL(heldFor), core.WithMetadata("deploy test"))
	require.NoError(t, err)
	_, err = b.TryAcquire(ctx, "order_42")
	require.ErrorIs(t, err, core.ErrNotAcquired)
	require.NoError(t, first.Extend(ctx, time.Second))
	require.NoError(t, first.Renew(ctx, heldFor))
	info, err := b.Inspect(ctx, "order_42")
	require.NoError(t, err)
	require.Equal(t, "deploy test", info.Metadata)

	var waiter sync.WaitGroup
	waiter.Go(func() {
		second, err := b.Acquire(ctx, "order_42", core.WithWait(deployed), core.WithRetry(deployed, 0))
		if err != nil {
			t.Error("woken by the release:", err)
			return
		}
		if second.FencingToken() <= first.FencingToken() {
			t.Errorf("token %d after %d", second.FencingToken(), first.FencingToken())
		}
		if err := second.Release(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	require.Eventually(t, func() bool { return queuesFor(t, nodes, "order_42") }, deployed, time.Millisecond)
	require.NoError(t, first.Release(ctx))
	waiter.Wait()

	health, err := a.Health(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, health.Voting, health.Quorum)
}

// releaseTogether releases many locks at once until the node has seen several of
// them in one run.
func releaseTogether(t *testing.T, m *core.Manager, node *coretest.Node) {
	t.Helper()
	for began := time.Now(); ; require.Less(t, time.Since(began), deployed) {
		var holders sync.WaitGroup
		together := make(chan struct{})
		for i := range 32 {
			lock, err := m.Acquire(t.Context(), fmt.Sprint("together_", i), core.WithWait(deployed))
			require.NoError(t, err)
			holders.Go(func() {
				<-together
				if err := lock.Release(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		close(together)
		holders.Wait()
		calls, err := node.CommandCalls()
		require.NoError(t, err)
		if calls["mget"] > 0 && calls["exists"] > 0 {
			return
		}
	}
}

// queuesFor reports whether a process stands in Redis' queue for key.
func queuesFor(t *testing.T, nodes []*coretest.Node, key string) bool {
	return slices.ContainsFunc(nodes, func(n *coretest.Node) bool {
		if !n.Alive() {
			return false
		}
		keys, err := n.Keys("dlm:")
		return err == nil && slices.ContainsFunc(keys, func(k string) bool { return strings.HasSuffix(k, ":ql:"+key) })
	})
}

// pair is two Managers that do not know of each other.
func pair(t *testing.T, cfg core.Config) (a, b *core.Manager) {
	t.Helper()
	cfg.NodeTimeout, cfg.Logger = 5*time.Second, slog.New(slog.DiscardHandler)
	edit := func(c *core.Config) { *c = cfg }
	return managerFor(t, edit), managerFor(t, edit)
}

func TestDeployFiveIndependentNodes(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	a, b := pair(t, core.Config{Nodes: nodes.URLs()})
	exercise(t, a, b, nodes.All())
	require.NoError(t, nodes.Node(1).Kill())
	require.NoError(t, nodes.Node(4).Kill())
	exercise(t, a, b, nodes.All())
	health, err := a.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, health.Voting)

	require.NoError(t, nodes.Node(2).Kill())
	_, err = a.TryAcquire(t.Context(), "order_42")
	require.ErrorIs(t, err, core.ErrNoQuorum)
	var outage *core.QuorumError
	require.ErrorAs(t, err, &outage)
	require.Equal(t, 3, outage.Need)
	_, err = a.Health(t.Context())
	require.ErrorIs(t, err, core.ErrNoQuorum)
}

// aclRules are a user's rules in examples/deploy/users.acl, its password changed.
func aclRules(t *testing.T, user, password string) []string {
	t.Helper()
	text, err := os.ReadFile("../examples/deploy/users.acl")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "user" || fields[1] != user {
			continue
		}
		for i, f := range fields {
			if strings.HasPrefix(f, ">") {
				fields[i] = ">" + password
			}
		}
		return fields[2:]
	}
	t.Fatalf("users.acl has no user %s", user)
	return nil
}

// secured is nodes with TLS and one user who may do what users.acl says.
func secured(t *testing.T, user string, edit func([]string) []string) (*coretest.Nodes, []redis.UniversalClient) {
	t.Helper()
	const password = "correct horse"
	rules := edit(aclRules(t, user, "correct-horse"))
	nodes := coretest.Redis(t, 3, coretest.WithTLS())
	clients := make([]redis.UniversalClient, nodes.Len())
	for i, n := range nodes.All() {
		require.NoError(t, n.ACL(user, rules...))
		require.NoError(t, n.ResetCommandCalls())
		opt := n.Options()
		opt.Username, opt.Password, opt.TLSConfig = user, strings.ReplaceAll(password, " ", "-"), nodes.TLSConfig()
		opt.DisableIdentity = user == "dlm-cache" // a lock's connections are made anew, and a store's are the client's
		client := redis.NewClient(opt)
		t.Cleanup(func() { _ = client.Close() })
		clients[i] = client
	}
	return nodes, clients
}

func asPrinted(rules []string) []string { return rules }

func TestDeployTLSWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	nodes, clients := secured(t, "dlm", asPrinted)
	a, b := pair(t, core.Config{Clients: clients})
	exercise(t, a, b, nodes.All())
	releaseTogether(t, a, nodes.Node(0))
	requireNoMoreThanNeeded(t, nodes, "dlm")

	for name, refused := range map[string]func(*redis.Client) error{
		"another key":     func(c *redis.Client) error { return c.Get(t.Context(), "session:1").Err() },
		"another channel": func(c *redis.Client) error { return c.Publish(t.Context(), "chat", "x").Err() },
		"a flush":         func(c *redis.Client) error { return c.FlushAll(t.Context()).Err() },
		"a key search":    func(c *redis.Client) error { return c.Keys(t.Context(), "*").Err() },
		"configuration":   func(c *redis.Client) error { return c.ConfigGet(t.Context(), "*").Err() },
		"a script over another key": func(c *redis.Client) error {
			return c.Eval(t.Context(), "return redis.call('GET', KEYS[1])", []string{"session:1"}).Err()
		},
	} {
		err := refused(clients[0].(*redis.Client))
		require.ErrorContains(t, err, "NOPERM", name)
	}
}

func TestDeployCacheStoreWithLeastPrivilege(t *testing.T) {
	t.Parallel()
	nodes, clients := secured(t, "dlm-cache", asPrinted)
	useStore(t, clients[0])
	requireNoMoreThanNeeded(t, nodes, "dlm-cache")
}

// quote is a value with a tag.
type quote struct {
	Price int
	Note  string
}

func (quote) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: heldFor, Tags: []string{"quotes"}}
}

// useStore makes the caches of several processes use all that a store does.
func useStore(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	const key = "quote_ACME"
	runs := 0
	get := func(c *cache.Cache[quote]) int {
		q, err := c.Get(t.Context(), key, func(context.Context) (quote, error) { runs++; return quote{Price: runs}, nil })
		require.NoError(t, err)
		require.Zero(t, c.Stats().StoreErrors)
		return q.Price
	}
	first, second := cacheOn(t, client), cacheOn(t, client)
	require.Equal(t, 1, get(first))
	require.Equal(t, 1, get(second), "what the first stored")
	require.Eventually(t, func() bool { return first.Stats().Coherent && second.Stats().Coherent }, deployed, time.Millisecond)

	require.NoError(t, second.Invalidate(t.Context(), key))
	require.Eventually(t, func() bool { return get(first) == 2 }, deployed, time.Millisecond, "told of the purge")
	require.NoError(t, second.InvalidateTag(t.Context(), "bonds"))
	require.Equal(t, 2, get(cacheOn(t, client)), "another tag")
	require.NoError(t, second.InvalidateTag(t.Context(), "quotes"))
	require.Eventually(t, func() bool { return get(first) == 3 }, deployed, time.Millisecond, "told of the tag's purge")

	noise := make([]byte, 512<<10)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // a loaded machine may take longer than the store's time-out
		long, err := first.Lookup(t.Context(), "long", func(context.Context) (quote, error) { return quote{Note: hex.EncodeToString(noise)}, nil })
		require.NoError(t, err)
		return long.Stored || long.State == cache.Fresh
	}, deployed, time.Millisecond, "there is room for that much")
}

func cacheOn(t *testing.T, client redis.UniversalClient) *cache.Cache[quote] {
	t.Helper()
	c, err := cache.New[quote](cache.Config{
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)),
		Fresh: heldFor, StoreTimeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// seldom are needed where these tests may not get to: a subscription that has
// been silent for long is pinged.
var seldom = []string{"+ping"}

// requireNoMoreThanNeeded holds a user's commands against what the servers were
// asked: a command that nobody sent is a privilege that nobody needs, and one
// that was refused is missing.
func requireNoMoreThanNeeded(t *testing.T, nodes *coretest.Nodes, user string) {
	t.Helper()
	called := map[string]int64{}
	for _, n := range nodes.All() {
		calls, err := n.CommandCalls()
		require.NoError(t, err)
		for name, count := range calls {
			called[name] += count
		}
		log, err := n.Client().Do(t.Context(), "ACL", "LOG").Slice()
		require.NoError(t, err)
		require.Empty(t, log, "missing from %s in users.acl", user)
	}
	for _, rule := range aclRules(t, user, "x") {
		if name, granted := strings.CutPrefix(rule, "+"); granted && !slices.Contains(seldom, rule) {
			require.Positive(t, called[name], "users.acl grants %s to %s, and nothing used it", rule, user)
		}
	}
}

// without is the line with some rules taken out.
func without(t *testing.T, out ...string) func([]string) []string {
	return func(rules []string) []string {
		require.Subset(t, rules, out, "in the line")
		return slices.DeleteFunc(rules, func(rule string) bool { return slices.Contains(out, rule) })
	}
}

func TestDeployMissingPrivilegesAreNamed(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"+get":   "can't run this command|no permissions to run the 'get' command", // the latter since Redis 7.2
		"~dlm:*": "NOPERM", "&dlm:*": "not woken",
	} {
		t.Run(rule, func(t *testing.T) {
			_, clients := secured(t, "dlm", without(t, rule))
			a, b := pair(t, core.Config{Clients: clients})
			err := tryOut(t, a, b)
			require.Error(t, err)
			require.Regexp(t, want, err.Error())
		})
	}
}

// TestDeployWithoutOptionalPrivileges: a managed service may grant neither. What
// a server says of itself, such as that it evicts keys, is then not known, and
// every connection sends each script once more.
func TestDeployWithoutOptionalPrivileges(t *testing.T) {
	t.Parallel()
	_, clients := secured(t, "dlm", without(t, "+info", "+script|load"))
	a, b := pair(t, core.Config{Clients: clients})
	require.NoError(t, tryOut(t, a, b))
}

// tryOut is as much of exercise as shows that something is not allowed.
func tryOut(t *testing.T, a, b *core.Manager) error {
	first, err := a.Acquire(t.Context(), "k", core.WithWait(0))
	if err != nil {
		return err
	}
	var waiter sync.WaitGroup
	var woken error
	waiter.Go(func() {
		second, err := b.Acquire(t.Context(), "k", core.WithWait(2*time.Second), core.WithRetry(time.Minute, 0))
		if err != nil {
			woken = fmt.Errorf("not woken: %w", err)
			return
		}
		woken = second.Release(context.WithoutCancel(t.Context()))
	})
	waiting := func() bool { return b.Snapshot(1).Queued == 1 }
	require.Eventually(t, waiting, deployed, time.Millisecond)
	err = first.Release(t.Context())
	waiter.Wait()
	return errors.Join(err, woken)
}

func TestDeployClusterAsOneNode(t *testing.T) {
	t.Parallel()
	nodes, cluster := coretest.Redis(t, 2), coretest.Cluster(t, 3)
	a, b := pair(t, core.Config{Nodes: nodes.URLs(), Clients: []redis.UniversalClient{cluster.Client()}})
	servers := slices.Concat(nodes.All(), cluster.All())
	exercise(t, a, b, servers)
	require.NoError(t, nodes.Node(0).Kill())
	exercise(t, a, b, servers)

	keys := 0
	for _, n := range cluster.All() {
		found, err := n.Keys("dlm:")
		require.NoError(t, err)
		keys += len(found)
	}
	require.Positive(t, keys, "the cluster made up the majority")
}

func TestDeployCacheStoreOnACluster(t *testing.T) {
	t.Parallel()
	useStore(t, coretest.Cluster(t, 3).Client())
}

func TestDeploySentinelAsOneNode(t *testing.T) {
	t.Parallel()
	nodes, watched := coretest.Redis(t, 2), coretest.Sentinel(t)
	client := redis.NewFailoverClient(watched.Options())
	defer client.Close()
	// Short leases: the promoted replica, which may lack the last locks, votes
	// again when the longest lease is over.
	a, b := pair(t, core.Config{Nodes: nodes.URLs(), Clients: []redis.UniversalClient{client}, TTL: 2 * time.Second})
	require.Eventually(t, func() bool { h, err := a.Health(t.Context()); return err == nil && h.Voting == 3 }, deployed, 10*time.Millisecond)

	master, err := watched.Master()
	require.NoError(t, err)
	require.NoError(t, master.Kill())
	l, err := a.Acquire(t.Context(), "during")
	require.NoError(t, err, "the others are a majority")
	require.NoError(t, l.Release(t.Context()))
	require.NoError(t, watched.AwaitFailover(t.Context(), master))
	require.Eventually(t, func() bool { h, err := a.Health(t.Context()); return err == nil && h.Voting == 3 }, deployed, 10*time.Millisecond,
		"the promoted replica takes the master's place")

	require.NoError(t, nodes.Node(0).Kill())
	require.Eventually(t, func() bool {
		l, err := b.TryAcquire(t.Context(), "after")
		return err == nil && l.Release(t.Context()) == nil
	}, deployed, 10*time.Millisecond, "and makes up the majority")
}
