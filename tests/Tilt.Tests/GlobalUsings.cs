global using Tilt.Model;
global using TorchSharp;
global using Xunit;
