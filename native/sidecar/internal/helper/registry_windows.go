package helper

import (
	"errors"

	"golang.org/x/sys/windows/registry"
)

// systemRegistry is this user's.
var systemRegistry registryKeys

// registryKeys reads and writes the default values of keys below HKEY_CURRENT_USER.
type registryKeys struct{}

func (registryKeys) get(key string) (value string, found bool, err error) {
	opened, err := registry.OpenKey(registry.CURRENT_USER, key, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer opened.Close()
	value, _, err = opened.GetStringValue("")
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}

func (registryKeys) set(key, value string) error {
	opened, _, err := registry.CreateKey(registry.CURRENT_USER, key, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.SetStringValue("", value)
}

func (registryKeys) remove(key string) error {
	return registry.DeleteKey(registry.CURRENT_USER, key)
}
