package machine_test

import (
	"errors"
	"fmt"

	"github.com/whop-license/whop-license/shared/machine"
)

// The caller reads the system's files; the package makes the machine id.
func ExampleCaptured_ID() {
	captured := machine.Captured{
		OS:   "linux",
		DBus: machine.Reading{Err: "no such file or directory"},
		Etc:  machine.Reading{Bytes: []byte("3d1219c7c4c5404aaa1f6d2a48adfda4\n")},
	}
	id, err := captured.ID(machine.NodeMachineID, "")
	fmt.Println(id.ID, id.Source, err)
	id, err = captured.ID(machine.AppScoped, "com.example.app")
	fmt.Println(id.ID, id.Source, err)
	// Output:
	// 0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f etc <nil>
	// 951fe53c1bb3450422fab305aace8c1ffb9a0e56dcb7bf0cd09b05376906c14d etc <nil>
}

// No machine id is an error, and never an empty string.
func ExampleError() {
	captured := machine.Captured{OS: "darwin", IOReg: machine.Reading{Err: "no such file or directory"}}
	_, err := captured.ID(machine.NodeMachineID, "")
	var failure *machine.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Code)
		fmt.Println(failure.Tried)
	}
	// Output:
	// no_machine_id
	// [ioreg: no such file or directory]
}
