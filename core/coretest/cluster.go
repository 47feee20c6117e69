package coretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const clusterSlots = 16384

// ClusterNodes are one Redis Cluster: first the masters, the slots divided evenly
// among them in the order of the nodes, then the replicas that [WithReplicas] asks
// for. Restarted nodes return to their place in it.
type ClusterNodes struct {
	*Nodes

	masters int
	client  *redis.ClusterClient
}

// Cluster starts a Redis Cluster and takes it down when the test ends. Redis
// wants three masters or more.
func Cluster(tb testing.TB, masters int, opts ...Option) *ClusterNodes {
	tb.Helper()
	cluster, err := StartCluster(tb.Context(), masters, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	adopt(tb, cluster, cluster.Nodes)
	return cluster
}

// StartCluster is [Cluster] for programs that are not tests. It returns when
// every node knows of every slot, and every replica has its master's data.
func StartCluster(ctx context.Context, masters int, opts ...Option) (*ClusterNodes, error) {
	if masters < 3 {
		return nil, fmt.Errorf("coretest: a Redis Cluster of %d masters: ask for three or more", masters)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	s := newSettings(opts)
	s.cluster = true
	nodes, err := start(ctx, masters*(1+max(s.replicas, 0)), s)
	if err != nil {
		return nil, err
	}
	cluster := &ClusterNodes{Nodes: nodes, masters: masters}
	cluster.client = redis.NewClusterClient(cluster.Options())
	if err := cluster.join(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("coretest: form a cluster: %w", err), cluster.Close())
	}
	return cluster, nil
}

// Close kills the servers and removes what they wrote. It is safe to call twice.
func (c *ClusterNodes) Close() error {
	err := c.client.Close()
	if errors.Is(err, redis.ErrClosed) {
		err = nil
	}
	return errors.Join(err, c.Nodes.Close())
}

// Options are what go-redis needs to reach the cluster. The caller may change
// them.
func (c *ClusterNodes) Options() *redis.ClusterOptions {
	opts := &redis.ClusterOptions{TLSConfig: c.TLSConfig()}
	for _, n := range c.nodes {
		opts.Addrs = append(opts.Addrs, n.Addr())
		_, opts.Password = n.credentials()
	}
	return opts
}

// Client is a client of the cluster for arranging and asserting. It is closed
// with the nodes.
func (c *ClusterNodes) Client() *redis.ClusterClient { return c.client }

func (c *ClusterNodes) join(ctx context.Context) error {
	for i, n := range c.nodes[:c.masters] {
		first, last := i*clusterSlots/c.masters, (i+1)*clusterSlots/c.masters-1
		// Of two nodes with the same epoch one has to be found a new one, which
		// takes the cluster a while.
		if err := n.client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if err := n.client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return err
		}
	}
	err := c.meet(ctx)
	for err != nil && ctx.Err() == nil {
		err = c.meet(ctx)
	}
	if err != nil || len(c.nodes) == c.masters {
		return err
	}
	for i, n := range c.nodes[c.masters:] {
		id, err := c.nodes[i%c.masters].client.ClusterMyID(ctx).Result()
		if err == nil {
			err = n.client.ClusterReplicate(ctx, id).Err()
		}
		if err != nil {
			return err
		}
	}
	return c.Settled(ctx)
}

// meet introduces the nodes to each other. An introduction is given up by
// Redis after the node timeout, which a loaded machine can exceed; making it
// again does no harm.
func (c *ClusterNodes) meet(ctx context.Context) error {
	for _, n := range c.nodes[1:] {
		if err := c.nodes[0].client.Do(ctx, "CLUSTER", "MEET", host, n.Port()).Err(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	return c.Settled(ctx)
}

// Settled returns when every node says that all slots are served and that it
// knows of all nodes, and every replica that it is connected to its master, as
// after a start or a restart; or with ctx.
func (c *ClusterNodes) Settled(ctx context.Context) error {
	return poll(ctx, func() error {
		for _, n := range c.nodes {
			if err := c.settled(ctx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *ClusterNodes) settled(ctx context.Context, n *Node) error {
	info, err := n.client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	lines := strings.Split(info, "\r\n")
	if !slices.Contains(lines, "cluster_state:ok") ||
		!slices.Contains(lines, fmt.Sprintf("cluster_known_nodes:%d", len(c.nodes))) {
		return fmt.Errorf("%s is not settled: %s", n.Addr(), strings.Join(lines, " "))
	}
	// master, offset, replicas; or slave, its master's host and port, state, offset
	role, err := n.client.Do(ctx, "ROLE").Slice()
	if err == nil && len(role) == 5 && role[3] != "connected" {
		return fmt.Errorf("%s is not settled: %v", n.Addr(), role)
	}
	return err
}

// Replica is the first replica that the master with the index i began with.
func (c *ClusterNodes) Replica(i int) *Node { return c.nodes[c.masters+i] }

// Promote has a replica take its master's place at once, whether or not that is
// up, and returns when every node that is up knows of it. A master that is back
// becomes a replica. What the replica had not received is lost.
func (c *ClusterNodes) Promote(ctx context.Context, replica *Node) error {
	id, err := replica.client.ClusterMyID(ctx).Result()
	if err == nil {
		err = replica.client.Do(ctx, "CLUSTER", "FAILOVER", "TAKEOVER").Err()
	}
	if err != nil {
		return fmt.Errorf("coretest: promote %s: %w", replica.Addr(), err)
	}
	defer c.client.ReloadState(ctx) // which it would do once a minute
	return poll(ctx, func() error {
		for _, n := range c.nodes {
			if !n.Alive() {
				continue
			}
			nodes, err := n.client.ClusterNodes(ctx).Result()
			if err != nil {
				return err
			}
			if !isMaster(nodes, id) {
				return fmt.Errorf("coretest: %s does not know %s for a master", n.Addr(), replica.Addr())
			}
		}
		return nil
	})
}

// isMaster reports whether what CLUSTER NODES says has slots served by the node:
// id, address, flags, master, ping, pong, epoch, link and then the slots.
func isMaster(nodes, id string) bool {
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) > 8 && fields[0] == id {
			return strings.Contains(fields[2], "master")
		}
	}
	return false
}

// poll calls done until it succeeds or ctx ends. The error tells what was
// still missing then.
func poll(ctx context.Context, done func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var missing error
	for {
		err := done()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || missing == nil {
			missing = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", missing, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
