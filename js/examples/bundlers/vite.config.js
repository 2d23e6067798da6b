export default {
  // For Vite before 8, whose development server would leave the WebAssembly module behind.
  optimizeDeps: { exclude: ["whop-license"] },
};
