global using Tilt.Model;
global using TorchSharp;
global using static TorchSharp.torch;
