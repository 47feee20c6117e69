package coretest_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A program that is no test starts nodes and closes them.
func ExampleStart() {
	ctx := context.Background()
	nodes, err := coretest.Start(ctx, 3)
	if err != nil {
		log.Fatal(err) // says what to install where redis-server is missing
	}
	defer nodes.Close()

	n := nodes.Node(0)
	n.Client().Set(ctx, "k", "v", 0)
	if err := n.Restart(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(nodes.URLs()), n.Client().Exists(ctx, "k").Val())
	// Output: 3 0
}

func ExampleStartEmbedded() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		log.Fatal(err)
	}
	defer nodes.Close()
	opts, err := redis.ParseURL(nodes.URLs()[0])
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	fmt.Println(client.Set(context.Background(), "k", "v", time.Second).Val())
	// Output: OK
}

// The server executes the command, its reply is lost.
func ExampleStartProxy() {
	ctx := context.Background()
	nodes, err := coretest.Start(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	defer nodes.Close()
	proxy, err := coretest.StartProxy(nodes.Node(0).URL())
	if err != nil {
		log.Fatal(err)
	}
	defer proxy.Close()
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr(), MaxRetries: -1})
	defer client.Close()

	proxy.DropRepliesTo("SET")
	err = client.Set(ctx, "k", "v", 0).Err()
	fmt.Println(err, nodes.Node(0).Client().Get(ctx, "k").Val())
	// Output: EOF v
}

func ExampleStartCluster() {
	ctx := context.Background()
	cluster, err := coretest.StartCluster(ctx, 3)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	fmt.Println(cluster.Client().Set(ctx, "k", "v", 0).Val())
	// Output: OK
}

func ExampleStartSentinel() {
	ctx := context.Background()
	s, err := coretest.StartSentinel(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	master, err := s.Master()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(master == s.Node(0), s.Client().Set(ctx, "k", "v", 0).Val())
	// Output: true OK
}

// In a test the servers end with the test, and a failure to kill, freeze or
// restart one fails it.
func ExampleRedis() {
	_ = func(t *testing.T) {
		nodes := coretest.Redis(t, 5)
		nodes.Node(0).Kill()
		nodes.Node(1).Freeze()
		// … what is left is a majority …
		nodes.Node(1).Thaw()
		nodes.Node(0).Restart()
	}
}

// An hour passes in no time, for the keys too.
func ExamplePiped() {
	_ = func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := coretest.Piped(t, 1).Clients()[0]
			defer client.Close()
			client.Set(t.Context(), "k", "v", time.Hour)
			time.Sleep(time.Hour)
			if n := client.Exists(t.Context(), "k").Val(); n != 0 {
				t.Error("the key outlived its TTL")
			}
		})
	}
}
