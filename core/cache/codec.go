package cache

import "encoding/json"

// Codec turns values into bytes. Its name is stored with every value: a value
// written by another codec is a miss, so codecs can be changed in a rolling
// upgrade.
type Codec interface {
	Name() string // at most 32 bytes
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error // v is a pointer
}

// JSON is the default Codec, encoding/json.
type JSON struct{}

// Name is "json".
func (JSON) Name() string { return "json" }

// Marshal is json.Marshal.
func (JSON) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal is json.Unmarshal.
func (JSON) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }
