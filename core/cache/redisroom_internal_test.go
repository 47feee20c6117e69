package cache

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server has room to spare unless it says that it evicts nothing and is nearly full.
func TestRoomOfAServer(t *testing.T) {
	for info, left := range map[string]int64{
		"": -1,
		"used_memory:100\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n":                            -1,
		"used_memory:100\r\nmaxmemory:1000\r\n":                                                            -1,
		"used_memory:350\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n":                             100,
		"used_memory:800\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n":                             0,
		"used_memory:x\r\nmaxmemory:y\r\nmaxmemory_policy:noeviction\r\n":                                  -1,
		"used_memory:350\r\nmaxmemory:0\r\ntotal_system_memory:1000\r\nmaxmemory_policy:noeviction":        100,
		"used_memory:350\r\nmaxmemory:9223372036854775807\r\nmaxmemory_policy:noeviction\r\n":              (9223372036854775807 - 9223372036854775807/4 - 350) / roomShare,
		"used_memory:350\r\nmaxmemory:2000\r\ntotal_system_memory:10\r\nmaxmemory_policy:noeviction\r\nno": 287,
	} {
		r := roomOf(info)
		if !r.limited {
			r.left = -1
		}
		require.Equal(t, left, r.left, info)
	}
}
