global using Tilt.Model;
