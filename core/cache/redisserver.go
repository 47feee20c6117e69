package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// asksNobody has a client answer from what it knows, or not at all.
var asksNobody = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// serverFor names the server of a Cluster, or the shard of a Ring, that a key is
// on as far as the client knows by now; "" where there is but one.
func (r *Redis) serverFor(key string) string {
	p := r.onlyPlace()
	if p.oneServer() {
		return ""
	}
	entry, _ := r.namesOf(key)
	if r.ring == nil {
		return p.serverOf(asksNobody, entry)
	}
	shard, err := r.ring.GetShardClientForKey(entry)
	if err != nil {
		return ""
	}
	return shard.Options().Addr
}

// reroute has a Cluster's client ask who has which slots, which it does by itself
// once a minute only when a master is gone. It returns at once; the client asks once
// in 200 ms, however often it is told to.
func (r *Redis) reroute() {
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(asksNobody)
	}
}

// serverOf names the server that runs the scripts of a key.
func (p *place) serverOf(ctx context.Context, entry string) string {
	if cluster, ok := p.client.(*redis.ClusterClient); ok {
		if master, err := cluster.MasterForKey(ctx, entry); err == nil {
			return master.Options().Addr
		}
	}
	return p.name
}
