# 指定 Worker 分组
curl -X POST http://localhost:3000/api/openai \
  -H "Content-Type: application/json" \
  -d '{
    "data": {
      "model": "jimeng-4.0",
      "prompt": "美丽的少女，胶片感",
      "ratio": "4:3",
      "resolution": "2k"
    },
    "group": "gpu-cluster",
    "timeout": 120000
  }'
