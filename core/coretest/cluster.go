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

// ClusterNodes are one Redis Cluster of masters without replicas, the slots
// divided evenly among them in the order of the nodes. Restarted nodes return to
// their place in it.
type ClusterNodes struct {
	*Nodes

	client *redis.ClusterClient
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
// every node knows of every slot.
func StartCluster(ctx context.Context, masters int, opts ...Option) (*ClusterNodes, error) {
	if masters < 3 {
		return nil, fmt.Errorf("coretest: a Redis Cluster of %d masters: ask for three or more", masters)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	s := newSettings(opts)
	s.cluster = true
	nodes, err := start(ctx, masters, s)
	if err != nil {
		return nil, err
	}
	cluster := &ClusterNodes{Nodes: nodes}
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
	for i, n := range c.nodes {
		first, last := i*clusterSlots/len(c.nodes), (i+1)*clusterSlots/len(c.nodes)-1
		// Of two nodes with the same epoch one has to be found a new one, which
		// takes the cluster a while.
		if err := n.client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if err := n.client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return err
		}
	}
	for {
		err := c.meet(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
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
// knows of all nodes, as after a start or a restart; or with ctx.
func (c *ClusterNodes) Settled(ctx context.Context) error {
	return poll(ctx, func() error {
		for _, n := range c.nodes {
			info, err := n.client.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			lines := strings.Split(info, "\r\n")
			if !slices.Contains(lines, "cluster_state:ok") ||
				!slices.Contains(lines, fmt.Sprintf("cluster_known_nodes:%d", len(c.nodes))) {
				return fmt.Errorf("%s is not settled: %s", n.Addr(), strings.Join(lines, " "))
			}
		}
		return nil
	})
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
