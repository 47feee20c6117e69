package keyfuncs

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplateReadableKey(t *testing.T) {
	r := httptest.NewRequest("GET", "/orders/42?page=2", nil)
	r.SetPathValue("id", "42")
	key, err := MustTemplate("order_<id>_{query:page}")(r)
	require.NoError(t, err)
	require.Equal(t, "order_42_2", key)
}
