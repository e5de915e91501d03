# 基本请求
curl -X POST http://localhost:3000/api/openai \
  -H "Content-Type: application/json" \
  -d '{
    "data": {
      "action": "process",
      "content": "Hello World"
    }
  }'
