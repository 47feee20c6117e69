package guard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// Where these are set the test binary is a shop: see TestMain.
const (
	shopNodes = "DLM_TEST_SHOP_NODES"
	shopHangs = "DLM_TEST_SHOP_HANGS" // its handler never returns
)

// serveShop takes payments, each Idempotency-Key once, until it is killed. It
// says where it listens, and when its handler runs.
func serveShop(nodes string) error {
	locks, err := core.New(core.Config{Nodes: strings.Split(nodes, ",")})
	if err != nil {
		return err
	}
	g, err := guard.New(guard.Config{Locks: locks, Idempotent: &guard.Idempotent{Required: true}, TTL: time.Second})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /pay", nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("runs")
		if os.Getenv(shopHangs) != "" {
			select {}
		}
		_, _ = fmt.Fprintf(w, "paid to %d", os.Getpid())
	})))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() { // nor does it outlive the tests
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	return http.Serve(listener, mux)
}

// shop is such a process.
type shop struct {
	process *exec.Cmd
	out     *bufio.Reader
	url     string
}

func openShop(t *testing.T, nodes []string, env ...string) *shop {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), shopNodes+"="+strings.Join(nodes, ",")), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = cmd.StdinPipe() // ends with this process
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &shop{process: cmd, out: bufio.NewReader(out)}
	t.Cleanup(s.kill)
	s.url = s.line(t)
	return s
}

func (s *shop) line(t *testing.T) string {
	t.Helper()
	line, err := s.out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// kill ends the process as a crash does.
func (s *shop) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *shop) pay(key string) (status int, body string, replayed bool, err error) {
	r, err := http.NewRequest(http.MethodPost, s.url+"/pay", strings.NewReader("10 EUR"))
	if err != nil {
		return 0, "", false, err
	}
	r.Host = "shop.example"
	r.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", false, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), resp.Header.Get("Idempotency-Replayed") != "", err
}

func TestAResponseOutlivesTheProcessThatMadeIt(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	nodes := coretest.Redis(t, 3).URLs()
	first := openShop(t, nodes)
	status, paid, replayed, err := first.pay("k")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, paid)
	require.False(t, replayed)
	first.kill()
	status, again, replayed, err := openShop(t, nodes).pay("k")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, again)
	require.Equal(t, paid, again)
	require.True(t, replayed)
}

// Nobody knows whether a process that was killed half-way had its effect; its key
// is in flight until its lease has run out, and then free.
func TestAKeyIsFreeAgainAfterTheProcessThatRanIt(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	nodes := coretest.Redis(t, 3).URLs()
	first, second := openShop(t, nodes, shopHangs+"=1"), openShop(t, nodes)
	ended := make(chan error, 1)
	go func() { _, _, _, err := first.pay("k"); ended <- err }()
	require.Equal(t, "runs", first.line(t))
	status, body, _, err := second.pay("k")
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, status, body)
	first.kill()
	require.Error(t, <-ended)
	require.Eventually(t, func() bool {
		var replayed bool
		status, body, replayed, err = second.pay("k")
		return err == nil && status == http.StatusOK && !replayed
	}, 20*time.Second, 10*time.Millisecond, "the last answer: %d %s", status, body)
	require.Equal(t, fmt.Sprintf("paid to %d", second.process.Process.Pid), body)
	status, body, replayed, err := second.pay("k")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	require.True(t, replayed)
}
