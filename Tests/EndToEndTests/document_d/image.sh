# 发送图像生成任务（同步，等待结果）
curl -X POST http://localhost:3000/api/openai \
  -H "Content-Type: application/json" \
  -d '{
    "data": {
      "model": "jimeng-4.0",
      "prompt": "美丽的少女，胶片感",
      "ratio": "4:3",
      "resolution": "2k"
    },
    "timeout": 120000
  }'
