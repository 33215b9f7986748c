{
  "targets": [
    {
      "target_name": "quipu",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "message": "quipu builds with CMake; this file only forwards to it",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/quipu.node"],
          "action": ["node", "scripts/build-native.js"]
        }
      ]
    }
  ]
}
