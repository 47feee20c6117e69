package wire

import (
	"bufio"
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReadReply: whatever a peer sends, no panic, and no allocation by a length
// that it merely claims.
func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-NOSCRIPT No\r\n", ":42\r\n", ":-1\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*2\r\n:1\r\n$1\r\na\r\n", "*-1\r\n",
		"$1048577\r\n", "*65537\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", ":\r\n", ":99999999999999999999\r\n", "\r\n", "\n", "$3\r\nabcd\r\n", "_\r\n",
		strings.Repeat("*65536\r\n", 8), ":" + strings.Repeat("1", 70000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			if _, err := readReply(in); err != nil {
				break
			}
		}
		runtime.ReadMemStats(&after)
		// One bulk may claim maxBulk before its bytes are there, no more.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*maxBulk+1000*len(data)))
	})
}

// FuzzAppendRun: what a server reads is what was asked for.
func FuzzAppendRun(f *testing.F) {
	f.Add("return 1", "key", "arg", "marker", "id", false)
	f.Add("", "\r\n$5\r\n", "\x00\xff", "", "", true)
	f.Add("return 1", "key", "arg", "marker", "", false)
	f.Add("return 1", "key", "arg", "", "id", false)
	f.Fuzz(func(t *testing.T, source, key, arg, tailKey, tailArg string, whole bool) {
		script := NewScript(source)
		tail := Tail{Key: tailKey, Arg: tailArg}
		got, err := readCommand(bufio.NewReader(bytes.NewReader(
			appendRun(nil, &Request{Script: script, Keys: []string{key}, Args: []string{arg}}, tail, whole))))
		require.NoError(t, err)
		want := []string{"EVALSHA", script.sha}
		if whole {
			want = []string{"EVAL", source}
		}
		if tailKey == "" {
			want = append(want, "1", key, arg)
		} else {
			want = append(want, "2", key, tailKey, arg)
		}
		if tailArg != "" {
			want = append(want, tailArg)
		}
		require.Equal(t, want, got)
	})
}
