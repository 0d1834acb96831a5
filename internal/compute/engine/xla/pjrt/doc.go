// Package pjrt uses accelerators through OpenXLA's PJRT plugins, which a helper program loads: unimo itself stays static, and a plugin that
// ends its process does not end unimo.
//
//	client, err := pjrt.Start(pjrt.Options{Plugin: "pjrt_c_api_cpu_plugin.so"})
//	program, err := client.Compile(text, pjrt.CompileOptions{})
//	x, y := client.NewBuffer(), client.NewBuffer()
//	err = client.Upload(x, 0, pjrt.F32, []int{2, 3}, data)
//	err = client.Execute(program, [][]pjrt.Buffer{{x}}, [][]pjrt.Buffer{{y}})
//	err = client.Download(y, data)
//	err = client.Close()
package pjrt
