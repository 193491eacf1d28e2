using Tilt;

NativeRuntime.Prepare();
return 0;
