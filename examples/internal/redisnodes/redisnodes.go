// Package redisnodes finds the Redis nodes that an example runs on.
package redisnodes

import (
	"os"
	"strings"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// embedded is how many nodes there are when none are given: the smallest
// number of which one may die.
const embedded = 3

// FromEnv lists the URLs in REDIS_NODES, which are separated by commas.
func FromEnv() []string {
	var urls []string
	for url := range strings.SplitSeq(os.Getenv("REDIS_NODES"), ",") {
		if url = strings.TrimSpace(url); url != "" {
			urls = append(urls, url)
		}
	}
	return urls
}

// Open gives the nodes of REDIS_NODES, or starts embedded ones when there are
// none. Embedded nodes live in this process and end with stop: they show how a
// program works, and lock nothing outside of it.
func Open() (urls []string, stop func() error, err error) {
	if urls = FromEnv(); len(urls) > 0 {
		return urls, func() error { return nil }, nil
	}
	nodes, err := coretest.StartEmbedded(embedded)
	if err != nil {
		return nil, nil, err
	}
	return nodes.URLs(), nodes.Close, nil
}
