package snippets

import (
	"net/url"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
)

func secured(password string) (*core.Manager, error) {
	node := func(host string) string { // over TLS, with the roots that the machine trusts
		return (&url.URL{Scheme: "rediss", User: url.UserPassword("dlm", password), Host: host}).String()
	}
	locks, err := core.New(core.Config{Nodes: []string{
		node("redis-1.internal:6379"), node("redis-2.internal:6379"), node("redis-3.internal:6379"),
	}})
	return locks, err
}

func grouped(node1, node2 string, cluster redis.UniversalClient, sentinels *redis.FailoverOptions) [2]core.Config {
	return [2]core.Config{
		{Nodes: []string{node1, node2}, Clients: []redis.UniversalClient{cluster}},
		{Nodes: []string{node1, node2}, Clients: []redis.UniversalClient{redis.NewFailoverClient(sentinels)}},
	}
}
