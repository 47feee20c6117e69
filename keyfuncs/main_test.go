package keyfuncs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get returns a GET request for target.
func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

// withParam stamps a route parameter as an adapter does.
func withParam(r *http.Request, pattern, name, value string) *http.Request {
	r.Pattern = pattern
	r.SetPathValue(name, value)
	return r
}

// withValues returns a request whose context carries the given names and values.
func withValues(namesAndValues ...string) *http.Request {
	ctx := context.Background()
	for i := 0; i < len(namesAndValues); i += 2 {
		ctx = WithValue(ctx, namesAndValues[i], namesAndValues[i+1])
	}
	return get("/").WithContext(ctx)
}

func requireKey(t *testing.T, want string, f Func, r *http.Request) {
	t.Helper()
	key, err := f(r)
	require.NoError(t, err)
	require.Equal(t, want, key)
}

func keyOf(t testing.TB, f Func, r *http.Request) string {
	t.Helper()
	key, err := f(r)
	require.NoError(t, err)
	return key
}

// requireStatus fails unless f fails with an error of type E that asks for status.
func requireStatus[E interface {
	error
	HTTPStatus() int
}](t *testing.T, status int, f Func, r *http.Request) E {
	t.Helper()
	key, err := f(r)
	var typed E
	require.ErrorAs(t, err, &typed)
	require.Equal(t, status, typed.HTTPStatus())
	require.Empty(t, key)
	return typed
}
